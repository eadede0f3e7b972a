//! The file as it is written: every key once, with its description. The parser, the JSON Schema and
//! `docs/configuration.md` all come from here.

use crate::read::{ByteSize, Duration, JsonObject, Located, Named, OneOrMany, Scalar, tables, words};

tables! {
    /// The configuration of streamdex: which tables go to which indices.
    ///
    /// Any string value may hold `${NAME}` or `${NAME:-default}`, taken from the environment; `$${` means the
    /// characters `${`. Paths are relative to the folder of this file.
    #[schemars(title = "streamdex configuration", extend("required" = ["source", "opensearch", "route"]))]
    table Root {
        /// AWS credentials for everything that names no others. Without it: the SDK's own chain
        /// (environment, shared configuration files, container or instance role).
        aws: AwsTable,
        /// The DynamoDB table to follow; or `[[source]]`, several of them, each with a name.
        source: OneOrMany<SourceTable>,
        /// The OpenSearch cluster, domain or collection to write to.
        opensearch: OpenSearchTable,
        /// The DynamoDB table for checkpoints and dead letters.
        state: StateTable,
        /// Where records go that can never be indexed.
        dead_letter: DeadLetterTable,
        /// How the Lambda function works; nothing else looks at it.
        lambda: LambdaTable,
        /// Where `streamdex run` answers probes and tells its metrics; nothing else looks at it.
        http: HttpTable,
        /// Which items go to which index, and how. The first route whose conditions hold takes an item; an
        /// item that no route takes is not indexed.
        route: Vec<Located<RouteTable>>,
        /// How an index is made, by the text that a route gives as `index` or `archive_index`.
        index: Named<IndexTable>,
    }

    /// AWS credentials.
    table AwsTable {
        /// A profile of the shared AWS configuration files.
        profile: String,
        /// A role to assume.
        role_arn: String,
        /// The external id that the role asks for.
        external_id: String,
    }

    /// A DynamoDB table with a stream. Either `table` or `stream_arn` is needed.
    table SourceTable {
        /// The name that routes and `--source` use. Needed where there are several sources; default: the
        /// table's name.
        name: String,
        /// The table's name.
        table: String,
        /// The ARN of the table's stream, in place of `table`.
        stream_arn: String,
        /// AWS region. Default: that of `stream_arn`, else the SDK's own chain.
        region: String,
        /// DynamoDB endpoint: for emulators, and VPC endpoints without private DNS.
        endpoint_url: String,
        /// DynamoDB Streams endpoint. Default: `endpoint_url`.
        streams_endpoint_url: String,
        /// Where a group without a checkpoint begins.
        #[schemars(extend("default" = "trim_horizon"))]
        start: StartWord,
        /// What happens when records were lost before they could be read.
        #[schemars(extend("default" = "fail"))]
        on_gap: OnGapWord,
        /// Whether `streamdex run` writes what the table held before, where it begins with an empty index.
        #[schemars(extend("default" = "if_empty"))]
        backfill: BackfillWord,
        /// The most items of a table that `streamdex run` fills from by itself; `streamdex backfill` fills from larger
        /// ones.
        #[schemars(extend("default" = 1000000))]
        backfill_max_items: u64,
        /// How old news may be before it is looked for on a shard where nothing comes: 200 milliseconds to 1 minute.
        /// A busy shard is read without waiting. An idle one costs a call to DynamoDB Streams each time: `"1s"`
        /// is about 4,000 calls for each shard and hour, `"10s"` 400. `streamdex status` shows what is projected.
        #[schemars(extend("default" = "1s"))]
        freshness: Duration,
        /// A profile of the shared AWS configuration files, for this source alone.
        profile: String,
        /// A role to assume for this source.
        role_arn: String,
        /// The external id that the role asks for.
        external_id: String,
    }

    /// OpenSearch: the address, and how to write to it.
    #[schemars(extend("required" = ["url"]))]
    table OpenSearchTable {
        /// `http://` or `https://`, without user name and password.
        url: String,
        /// How requests are authenticated. Default: not at all.
        auth: AuthTable,
        /// `https`: a PEM file with the certificate of the server's authority, or with the server's own.
        ca_file: String,
        /// `https`: whether the server's certificate is checked; `false` is allowed for loopback hosts only, and without
        /// `ca_file`.
        #[schemars(extend("default" = true))]
        tls_verify: bool,
        /// Compression of request bodies, and of answers.
        #[schemars(extend("default" = "gzip"))]
        compression: CompressionWord,
        /// A bulk request is closed at this size, uncompressed: 64 KiB to 9.5 MiB, as `"5MiB"` or a number of
        /// bytes.
        #[schemars(extend("default" = "5MiB"))]
        max_batch_bytes: ByteSize,
        /// A bulk request is closed at this many operations: 1 to 10,000.
        #[schemars(extend("default" = 2000))]
        max_batch_operations: u64,
        /// Bulk requests in flight, per process: 1 to 256.
        #[schemars(extend("default" = 8))]
        max_concurrent_requests: u64,
        /// After so many documents in a row that one index refused, deletes included, without an accepted index
        /// operation, the index pauses and nothing becomes a dead letter until one is accepted again: up to 1,000,000; 0
        /// switches it off.
        #[schemars(extend("default" = 50))]
        brake_after: u64,
        /// The same for refusals that name a field of the document, which are most likely the documents' own fault: up
        /// to 1,000,000; 0 switches it off.
        #[schemars(extend("default" = 1000))]
        brake_after_field: u64,
        /// Deadline of one request: 1 second to 15 minutes.
        #[schemars(extend("default" = "60s"))]
        request_timeout: Duration,
    }

    /// How requests to OpenSearch are authenticated.
    #[schemars(extend("required" = ["kind"]))]
    table AuthTable {
        /// The kind of authentication.
        kind: AuthWord,
        /// `basic`: the user.
        username: String,
        /// `basic`: the environment variable that holds the password. It is read when it is needed.
        password_env: String,
        /// `basic`: the file that holds the password. It is read when it is needed; a final line break is cut
        /// off.
        password_file: String,
        /// `basic`: the ARN of a secret in AWS Secrets Manager: the password itself, or a JSON object with a member
        /// `password`. It is read with the credentials of `[aws]` when it is needed, and again when it is refused.
        password_secret: String,
        /// `sigv4`: the signing name. Default: the one in an `amazonaws.com` host name, else `es`.
        service: ServiceWord,
        /// `sigv4`: the signing region. Default: the one in an `amazonaws.com` host name, else the sole source's,
        /// else the SDK's own chain.
        region: String,
        /// `sigv4`: a profile of the shared AWS configuration files.
        profile: String,
        /// `sigv4`: a role to assume for signing.
        role_arn: String,
        /// `sigv4`: the external id that the role asks for.
        external_id: String,
    }

    /// The DynamoDB table that holds checkpoints and dead letters. Region, endpoint and credentials are
    /// its own, else the sole source's, else those of `[aws]`.
    table StateTable {
        /// The table's name; it is none that is followed.
        #[schemars(extend("default" = "streamdex-state"))]
        table: String,
        /// The deployment's name inside the table: several deployments can share one.
        #[schemars(extend("default" = "default"))]
        group: String,
        /// AWS region.
        region: String,
        /// DynamoDB endpoint: for emulators, and VPC endpoints without private DNS.
        endpoint_url: String,
        /// A profile of the shared AWS configuration files.
        profile: String,
        /// A role to assume for the state table.
        role_arn: String,
        /// The external id that the role asks for.
        external_id: String,
    }

    /// Where records go that can never be indexed.
    table DeadLetterTable {
        /// The kind of store.
        #[schemars(extend("default" = "table"))]
        kind: DeadLetterWord,
        /// `file`: the file to append to.
        path: String,
    }

    /// How the Lambda function works; nothing else looks at it.
    table LambdaTable {
        /// How long before the end of an invocation nothing is sent any more, so that there is time to answer:
        /// 200 milliseconds to 5 minutes. Of an invocation with little time, at most half.
        #[schemars(extend("default" = "2s"))]
        deadline_margin: Duration,
    }

    /// Where `streamdex run` answers probes and tells its metrics; nothing else looks at it.
    table HttpTable {
        /// Address and port to listen on, as `127.0.0.1:9464`, or `0.0.0.0:9464` for every interface, as probes
        /// from outside a container need it. Served are `/` (a page), `/livez`, `/readyz`, `/metrics` and `/status`, and `/await` where it is on, to
        /// everyone who reaches the port; no contents and no ids of documents are among it. Without it nothing is
        /// listened on. `streamdex run --listen` and `STREAMDEX_LISTEN` go before it.
        listen: String,
        /// How many `POST /await` are answered a second: 1 to 1,000. Each waits until searches find of one item what the table
        /// holds, at the cost of a consistent read and a refresh of its index. Without it there is no `/await`.
        await_per_second: u64,
    }

    /// Which items go to one index, and how. Names are of top-level attributes of the table, unless a key takes paths.
    #[schemars(extend("required" = ["index"]))]
    table RouteTable {
        /// The name of the source; needed where there are several.
        source: String,
        /// The index. May hold `{attribute}` placeholders, as `orders-{region}`; what they give is lower-cased.
        index: String,
        /// How many indices the placeholders of `index` may give: 1 to 10,000. A record that asks for one more is a
        /// dead letter, and its neighbours go on.
        #[schemars(extend("default" = 100))]
        max_indices: u64,
        /// One condition, or a list of conditions that must all hold. Default: every item.
        when: OneOrMany<ConditionTable>,
        /// All key attributes of the table, in the order in which they make the document id. Default: ascending by
        /// name.
        id: Vec<Located<String>>,
        /// How the document id is written.
        #[schemars(extend("default" = "plain"))]
        id_form: IdFormWord,
        /// The key attribute whose value is the document's routing. Routes that can write to one index share it, as they
        /// share `id` and `id_form`.
        routing: String,
        /// What to keep, as paths: an attribute (`user`), or a member of a map (`user.name`), through lists too (`lines.sku`). A
        /// dot inside a name is written with a backslash before it, as `'a\.b'`. Default, and when empty: everything.
        include: Vec<Located<String>>,
        /// What to leave out, as paths. It wins over `include`.
        exclude: Vec<Located<String>>,
        /// Attribute name to field name.
        rename: Named<String>,
        /// What is written as the text of its JSON, as paths: for maps with ever new members.
        as_json: Vec<Located<String>>,
        /// How numbers are written.
        #[schemars(extend("default" = "exact"))]
        numbers: NumbersWord,
        /// Where numbers are written as strings, as paths; what is inside counts too.
        numbers_as_string: Vec<Located<String>>,
        /// Times, as paths. A number of seconds or milliseconds since 1970 is written in milliseconds, text stays as it is, and
        /// the field is mapped as a date.
        dates: Vec<Located<String>>,
        /// What becomes of names with dots, which OpenSearch takes for paths.
        #[schemars(extend("default" = "keep"))]
        dots: DotsWord,
        /// Fields that are made of other values, by their names.
        set: Named<SetTable>,
        /// The TTL attribute of the table, and what an expiry does.
        ttl: TtlTable,
    }

    /// A field that is made of another value: exactly one of `from`, `value`, and `lat` with `lon`. Where there is nothing to make
    /// it of, there is no field. It takes the place of an attribute of the same name.
    table SetTable {
        /// The path of the value.
        from: String,
        /// `from`: what stands behind the first of these characters in the string, as `"CUSTOMER#"`.
        after: String,
        /// This value, of every document.
        value: Scalar,
        /// The path of the latitude of a `geo_point`, a number or a string that is one.
        lat: String,
        /// The path of the longitude.
        lon: String,
    }

    /// A condition on one top-level attribute: exactly one of `equals`, `one_of`, `starts_with`, `like` and `exists`.
    #[schemars(extend("required" = ["attribute"]))]
    table ConditionTable {
        /// The attribute.
        attribute: String,
        /// The attribute has this value; the TOML type picks string, number or boolean.
        equals: Scalar,
        /// The attribute has one of these values.
        one_of: Vec<Located<Scalar>>,
        /// The attribute is a string that starts so.
        starts_with: String,
        /// The attribute is a string of this form, in which `*` is any text, as `"ORDER#*#LINE#*"`.
        like: String,
        /// The attribute is there (`true`) or not (`false`).
        exists: bool,
        /// The condition must fail instead.
        #[schemars(extend("default" = false))]
        not: bool,
    }

    /// The TTL attribute of the table, and what an expiry does.
    #[schemars(extend("required" = ["attribute"]))]
    table TtlTable {
        /// The TTL attribute: a number of seconds since 1970.
        attribute: String,
        /// What an expiry does to the document. `archive` needs old images in the stream.
        #[schemars(extend("default" = "delete"))]
        on_expiry: OnExpiryWord,
        /// `archive`: the index that gets the last form of an expired document, with `expired_at`.
        archive_index: String,
        /// `archive`: takes a removal of an item whose TTL has passed for an expiry: for replicas of global tables, and
        /// emulators, which deliver expiries without their mark. Needs old images in the stream.
        #[schemars(extend("default" = false))]
        infer_expiry: bool,
    }

    /// How an index is made.
    table IndexTable {
        /// Who makes the index.
        #[schemars(extend("default" = "create"))]
        manage: ManageWord,
        /// `create`: the number in `NAME-000001`, 1 to 999,999. Raise it to build a new index beside the old one.
        #[schemars(extend("default" = 1))]
        generation: u64,
        /// `create`: index settings, merged over those of streamdex.
        settings: JsonObject,
        /// `create`: a JSON file with a mapping, merged over that of streamdex.
        mapping_file: String,
    }
}

words! {
    /// Where a group without a checkpoint begins.
    words StartWord {
        /// The oldest record that the stream still holds.
        TrimHorizon = "trim_horizon",
        /// What is written from the first start on.
        Latest = "latest",
    }

    /// Whether an empty index is filled with what the table held before.
    words BackfillWord {
        /// Where the index is empty when the group begins.
        IfEmpty = "if_empty",
        /// Only by `streamdex backfill`.
        Never = "never",
    }

    /// What happens when records were lost before they could be read.
    words OnGapWord {
        /// What they are about stands still, and says so, until `streamdex gap close`.
        Fail = "fail",
        /// `streamdex run` closes the gap, goes on with what is left, and then compares all items with their documents:
        /// what was lost is written, and documents whose items are gone are removed.
        Resnapshot = "resnapshot",
    }

    /// What becomes of names with dots.
    words DotsWord {
        /// They stay as they are.
        Keep = "keep",
        /// `a.b` is written as a member `b` of an object `a`.
        Expand = "expand",
        /// `a.b` is written as `a_b`.
        Underscore = "underscore",
    }

    /// Compression of request bodies, and of answers.
    words CompressionWord {
        /// gzip.
        Gzip = "gzip",
        /// None.
        None = "none",
    }

    /// The kind of authentication.
    words AuthWord {
        /// No authentication.
        None = "none",
        /// HTTP basic: `username`, and `password_env`, `password_file` or `password_secret`.
        Basic = "basic",
        /// AWS Signature Version 4.
        SigV4 = "sigv4",
    }

    /// The signing name.
    words ServiceWord {
        /// Amazon OpenSearch Service domains.
        Es = "es",
        /// Amazon OpenSearch Serverless collections.
        Aoss = "aoss",
    }

    /// The kind of store for dead letters.
    words DeadLetterWord {
        /// The state table.
        Table = "table",
        /// A file with one JSON object a line.
        File = "file",
    }

    /// How the document id is written.
    words IdFormWord {
        /// The key values as text; hashed past 512 bytes.
        Plain = "plain",
        /// Always hashed: for ids that are secrets.
        Hash = "hash",
    }

    /// How numbers are written.
    words NumbersWord {
        /// As JSON numbers, with all 38 digits.
        Exact = "exact",
        /// As JSON strings.
        String = "string",
    }

    /// What an expiry does to the document.
    words OnExpiryWord {
        /// It is deleted.
        Delete = "delete",
        /// It is deleted, and its last form is written to `archive_index`.
        Archive = "archive",
    }

    /// Who makes the index.
    words ManageWord {
        /// streamdex: `NAME-000001` behind the alias `NAME`.
        Create = "create",
        /// You; what is unsafe in it is reported. Behind an alias, the index that was found first is written to.
        Check = "check",
        /// You; nothing is asked.
        Never = "never",
    }
}

/// The JSON Schema of the file, as of draft 2020-12.
#[cfg(feature = "schema")]
pub fn json_schema() -> serde_json::Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Root>().to_value()
}
