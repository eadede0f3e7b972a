//! The Lambda function.
