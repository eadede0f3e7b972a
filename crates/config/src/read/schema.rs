//! The JSON Schema of each kind of value.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{ByteSize, Duration, JsonObject, Key, Located, Named, OneOrMany, Scalar};

macro_rules! schema_of_inner {
    ($($outer:ident),*) => { $(
        impl<T: JsonSchema> JsonSchema for $outer<T> {
            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )* };
}

schema_of_inner!(Key, Located);

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

macro_rules! plain_schema {
    ($($name:ident: $schema:tt)*) => { $(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )* };
}

plain_schema! {
    Scalar: { "type": ["string", "number", "boolean"] }
    JsonObject: { "type": "object", "additionalProperties": true }
    ByteSize: { "type": ["string", "integer"] }
    Duration: { "type": "string" }
}
