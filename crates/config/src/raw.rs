//! The file as it is written: every key once, with its description. The parser, the JSON Schema and
//! `docs/configuration.md` all come from here.

use crate::read::{ByteSize, Duration, JsonObject, Located, Named, OneOrMany, Scalar, tables, words};

tables! {
    /// The configuration of streamdex: which tables go to which indices.
    ///
    /// Any string value may contain `${NAME}` or `${NAME:-default}`. It is replaced by the value of the environment
    /// variable `NAME`, or by `default` if the variable is not set or is empty. Write `$${` to get the characters `${`.
    /// Paths are relative to the folder of this file.
    #[schemars(title = "streamdex configuration", extend("required" = ["source", "opensearch", "route"]))]
    table Root {
        /// AWS credentials for every section that sets none. Default: the SDK's default chain (environment, shared
        /// configuration files, container or instance role).
        aws: AwsTable,
        /// The DynamoDB table to follow. For several tables, use `[[source]]` and give each a name.
        source: OneOrMany<SourceTable>,
        /// The OpenSearch cluster, domain or collection to write to.
        opensearch: OpenSearchTable,
        /// The DynamoDB table for checkpoints and dead letters.
        state: StateTable,
        /// Where dead letters are stored.
        dead_letter: DeadLetterTable,
        /// Settings of the Lambda function. Nothing else uses them.
        lambda: LambdaTable,
        /// The HTTP port of `streamdex run`, for probes and metrics. Nothing else uses these settings.
        http: HttpTable,
        /// Which items go to which index, and how. The first route whose conditions hold takes an item. An item that
        /// no route takes is not indexed.
        route: Vec<Located<RouteTable>>,
        /// How an index is created. `NAME` is the text that a route has as `index` or `archive_index`.
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
        /// The name that routes and `--source` use. Required if there are several sources. Default: the table's name.
        name: String,
        /// The table's name.
        table: String,
        /// The ARN of the table's stream, instead of `table`.
        stream_arn: String,
        /// AWS region. Default: the region of `stream_arn`, otherwise the SDK's default chain.
        region: String,
        /// DynamoDB endpoint, for emulators and for VPC endpoints without private DNS.
        endpoint_url: String,
        /// DynamoDB Streams endpoint. Default: `endpoint_url`.
        streams_endpoint_url: String,
        /// Where a group without a checkpoint begins.
        #[schemars(extend("default" = "trim_horizon"))]
        start: StartWord,
        /// What happens if records were lost before they could be read.
        #[schemars(extend("default" = "fail"))]
        on_gap: OnGapWord,
        /// Whether `streamdex run` also writes the items that the table held before its stream was followed.
        #[schemars(extend("default" = "if_empty"))]
        backfill: BackfillWord,
        /// `streamdex run` fills an empty index automatically only if the table has at most this many items. For larger
        /// tables, use `streamdex backfill`.
        #[schemars(extend("default" = 1000000))]
        backfill_max_items: u64,
        /// The longest time until a change on an idle shard is found: 200 milliseconds to 1 minute. A busy shard is
        /// read without waiting. Each read of an idle shard costs a call to DynamoDB Streams: `"1s"` is about 4,000
        /// calls for each shard and hour, `"10s"` is 400. `streamdex status` shows the projected calls.
        #[schemars(extend("default" = "1s"))]
        freshness: Duration,
        /// A profile of the shared AWS configuration files, only for this source.
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
        /// `https`: a PEM file with the certificate of the server's authority, or of the server itself.
        ca_file: String,
        /// `https`: whether the server's certificate is checked. `false` is allowed only for loopback hosts, and only
        /// without `ca_file`.
        #[schemars(extend("default" = true))]
        tls_verify: bool,
        /// Compression of request bodies and answers.
        #[schemars(extend("default" = "gzip"))]
        compression: CompressionWord,
        /// A bulk request is closed at this size, uncompressed: 64 KiB to 9.5 MiB, as `"5MiB"` or a number of
        /// bytes.
        #[schemars(extend("default" = "5MiB"))]
        max_batch_bytes: ByteSize,
        /// A bulk request is closed at this many operations: 1 to 10,000.
        #[schemars(extend("default" = 2000))]
        max_batch_operations: u64,
        /// How many bulk requests a process may have in flight: 1 to 256.
        #[schemars(extend("default" = 8))]
        max_concurrent_requests: u64,
        /// The brake: writing to an index pauses after the index refused this many documents in a row, deletes
        /// included, without an accepted index operation. Only refusals that name no field of the document count. From
        /// then on, nothing becomes a dead letter until an index operation is accepted. Up to 1,000,000; 0 switches it
        /// off.
        #[schemars(extend("default" = 50))]
        brake_after: u64,
        /// The same for all refusals together, including those that name a field of the document. If a field is
        /// named, the document is most likely at fault. Up to 1,000,000; 0 switches it off.
        #[schemars(extend("default" = 1000))]
        brake_after_field: u64,
        /// Time limit of a request: 1 second to 15 minutes.
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
        /// `basic`: the file that holds the password. It is read when it is needed. A line break at the end is
        /// removed.
        password_file: String,
        /// `basic`: the ARN of a secret in AWS Secrets Manager. The secret is the password itself, or a JSON object
        /// with a member `password`. It is read with the credentials of `[aws]` when it is needed, and again when
        /// OpenSearch refuses the password.
        password_secret: String,
        /// `sigv4`: the signing name. Default: the name in an `amazonaws.com` host name, otherwise `es`.
        service: ServiceWord,
        /// `sigv4`: the signing region. Default: the region in an `amazonaws.com` host name, otherwise the region of
        /// the source if there is only one, otherwise the SDK's default chain.
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
        /// The table's name. It must not be a table that is followed.
        #[schemars(extend("default" = "streamdex-state"))]
        table: String,
        /// The name of this deployment inside the table. Several deployments can share a state table.
        #[schemars(extend("default" = "default"))]
        group: String,
        /// AWS region.
        region: String,
        /// DynamoDB endpoint, for emulators and for VPC endpoints without private DNS.
        endpoint_url: String,
        /// A profile of the shared AWS configuration files.
        profile: String,
        /// A role to assume for the state table.
        role_arn: String,
        /// The external id that the role asks for.
        external_id: String,
    }

    /// Where dead letters are stored.
    table DeadLetterTable {
        /// The kind of store.
        #[schemars(extend("default" = "table"))]
        kind: DeadLetterWord,
        /// `file`: the file to append to.
        path: String,
    }

    /// Settings of the Lambda function. Nothing else uses them.
    table LambdaTable {
        /// How long before the end of an invocation the function stops sending, so that it has time to answer: 200
        /// milliseconds to 5 minutes. If an invocation has little time, the margin is at most half of that time.
        #[schemars(extend("default" = "2s"))]
        deadline_margin: Duration,
    }

    /// The HTTP port of `streamdex run`, for probes and metrics. Nothing else uses these settings.
    table HttpTable {
        /// Address and port to listen on, for example `127.0.0.1:9464`. Use `0.0.0.0:9464` for every interface:
        /// probes from outside a container need it. The port serves `/` (a page), `/livez`, `/readyz`, `/metrics` and
        /// `/status`, and `/await` if it is on, to everyone who reaches it. These show no contents and no ids of
        /// documents, except for values that a placeholder puts into the name of an index. Without this key, `run` does
        /// not listen. `streamdex run --listen` and `STREAMDEX_LISTEN` override it.
        listen: String,
        /// How many `POST /await` requests are answered a second: 1 to 1,000. Each waits until searches find what the
        /// table holds for an item. Each costs a consistent read and a refresh of the item's index. Without this key
        /// there is no `/await`.
        await_per_second: u64,
    }

    /// Which items go to one index, and how. Names are of top-level attributes of the table, unless a key takes paths.
    #[schemars(extend("required" = ["index"]))]
    table RouteTable {
        /// The name of the source. Required if there are several.
        source: String,
        /// The index. It may contain `{attribute}` placeholders, for example `orders-{region}`. Their values are
        /// lower-cased.
        index: String,
        /// How many indices the placeholders of `index` may create: 1 to 10,000. A record that needs one more index
        /// becomes a dead letter. Other records are not affected.
        #[schemars(extend("default" = 100))]
        max_indices: u64,
        /// One condition, or a list of conditions that must all hold. Default: every item.
        when: OneOrMany<ConditionTable>,
        /// All key attributes of the table, in the order in which they form the document id. Default: sorted by name.
        id: Vec<Located<String>>,
        /// How the document id is written.
        #[schemars(extend("default" = "plain"))]
        id_form: IdFormWord,
        /// The key attribute whose value is the document's routing. Routes that can write to the same index must have
        /// the same `routing`, `id` and `id_form`.
        routing: String,
        /// What to keep, as paths. A path is an attribute (`user`), or a member of a map (`user.name`), also inside
        /// lists (`lines.sku`). Write a backslash before a dot that is part of a name, as in `'a\.b'`. If it is
        /// missing or empty, everything is kept.
        include: Vec<Located<String>>,
        /// Paths to leave out. `exclude` wins over `include`.
        exclude: Vec<Located<String>>,
        /// New field names: `attribute = "field"`.
        rename: Named<String>,
        /// Paths whose values are written as JSON text. Use it for maps that keep getting new members.
        as_json: Vec<Located<String>>,
        /// How numbers are written.
        #[schemars(extend("default" = "exact"))]
        numbers: NumbersWord,
        /// Paths whose numbers are written as strings. Numbers further inside count too.
        numbers_as_string: Vec<Located<String>>,
        /// Paths of times. A number of seconds or milliseconds since 1970 is written in milliseconds. Text stays as
        /// it is. The field is mapped as a date.
        dates: Vec<Located<String>>,
        /// What happens to names with dots, which OpenSearch reads as paths.
        #[schemars(extend("default" = "keep"))]
        dots: DotsWord,
        /// Fields that are made from other values. The key is the name of the field.
        set: Named<SetTable>,
        /// The TTL attribute of the table, and what happens when an item expires.
        ttl: TtlTable,
    }

    /// A field that is made of another value: exactly one of `from`, `value`, and `lat` with `lon`. Where there is nothing to make
    /// it of, there is no field. It takes the place of an attribute of the same name.
    table SetTable {
        /// The path of the value.
        from: String,
        /// `from`: keeps only what follows this text in the string, at its first occurrence. Example: `"CUSTOMER#"`.
        after: String,
        /// A fixed value for every document.
        value: Scalar,
        /// The path of the latitude of a `geo_point`: a number, or a string that holds a number.
        lat: String,
        /// The path of the longitude.
        lon: String,
    }

    /// A condition on one top-level attribute: exactly one of `equals`, `one_of`, `starts_with`, `like` and `exists`.
    #[schemars(extend("required" = ["attribute"]))]
    table ConditionTable {
        /// The attribute.
        attribute: String,
        /// The attribute has this value. The TOML type decides between string, number and boolean.
        equals: Scalar,
        /// The attribute has one of these values.
        one_of: Vec<Located<Scalar>>,
        /// The attribute is a string that begins with this text.
        starts_with: String,
        /// The attribute is a string of this form. `*` matches any text, for example in `"ORDER#*#LINE#*"`.
        like: String,
        /// The attribute exists (`true`), or does not exist (`false`).
        exists: bool,
        /// The condition must not hold.
        #[schemars(extend("default" = false))]
        not: bool,
    }

    /// The TTL attribute of the table, and what happens when an item expires.
    #[schemars(extend("required" = ["attribute"]))]
    table TtlTable {
        /// The TTL attribute: a number of seconds since 1970.
        attribute: String,
        /// What happens to the document when its item expires. `archive` needs old images in the stream.
        #[schemars(extend("default" = "delete"))]
        on_expiry: OnExpiryWord,
        /// `archive`: the index that gets the last form of an expired document, with `expired_at`.
        archive_index: String,
        /// `archive`: treats a removal as an expiry if the TTL of the item has passed. Use it for replicas of global
        /// tables and for emulators, which deliver expiries without a mark. It needs old images in the stream.
        #[schemars(extend("default" = false))]
        infer_expiry: bool,
    }

    /// How an index is made.
    table IndexTable {
        /// Who creates the index.
        #[schemars(extend("default" = "create"))]
        manage: ManageWord,
        /// `create`: the number in `NAME-000001`: 1 to 999,999. Raise it to build a new index; the old one stays.
        #[schemars(extend("default" = 1))]
        generation: u64,
        /// `create`: index settings. They are merged over those of streamdex.
        settings: JsonObject,
        /// `create`: a JSON file with a mapping. It is merged over that of streamdex.
        mapping_file: String,
    }
}

words! {
    /// Where a group without a checkpoint begins.
    words StartWord {
        /// The oldest record that the stream still holds.
        TrimHorizon = "trim_horizon",
        /// Only records that are written after the first start.
        Latest = "latest",
    }

    /// Whether an empty index is filled with what the table held before.
    words BackfillWord {
        /// `run` writes the older items if the index is empty when the group begins.
        IfEmpty = "if_empty",
        /// `run` does not write the older items; only `streamdex backfill` does.
        Never = "never",
    }

    /// What happens if records were lost before they could be read.
    words OnGapWord {
        /// The affected shards are not read any further until `streamdex gap close`. `streamdex status` shows the gap.
        Fail = "fail",
        /// `streamdex run` closes the gap, continues with what is left, and then compares all items with their
        /// documents. It writes what was lost, and removes documents whose items are gone.
        Resnapshot = "resnapshot",
    }

    /// What becomes of names with dots.
    words DotsWord {
        /// The names stay as they are.
        Keep = "keep",
        /// `a.b` is written as a member `b` of an object `a`.
        Expand = "expand",
        /// `a.b` is written as `a_b`.
        Underscore = "underscore",
    }

    /// Compression of request bodies and answers.
    words CompressionWord {
        /// gzip.
        Gzip = "gzip",
        /// No compression.
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
        /// The key values as text. An id above 512 bytes is hashed.
        Plain = "plain",
        /// Always hashed, for ids that are secrets.
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
        /// The document is deleted.
        Delete = "delete",
        /// The document is deleted, and its last form is written to `archive_index`.
        Archive = "archive",
    }

    /// Who creates the index.
    words ManageWord {
        /// streamdex creates `NAME-000001` behind the alias `NAME`.
        Create = "create",
        /// You create it, and streamdex reports what is unsafe in it. Behind an alias, streamdex writes to the index
        /// that it found first.
        Check = "check",
        /// You create it, and streamdex checks nothing.
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
