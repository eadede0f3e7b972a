//! `streamdex iam-policy`.

use clap::Args;

use crate::policy::{Purpose, View};

/// `streamdex iam-policy`
#[derive(Debug, Clone, Args)]
pub struct IamPolicyArgs {
    /// The command or function that the policy is for
    #[arg(long = "for", value_name = "PURPOSE", value_enum)]
    pub(crate) purpose: Purpose,
    /// Print the OpenSearch permissions instead: role and role mapping, or the Serverless data access policy
    #[arg(long)]
    pub opensearch: bool,
    /// The stream's view type; without new images, items are read from the table [default: NEW_AND_OLD_IMAGES]
    #[arg(long, value_name = "VIEW", value_enum, hide_possible_values = true)]
    pub(crate) view: Option<View>,
    /// lambda: on-failure records are sent to the function again, and it reads their items
    #[arg(long)]
    pub redrive: bool,
    /// The account, if no stream ARN or role contains it
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// The region, if the configuration does not name one
    #[arg(long, value_name = "REGION", env = "AWS_REGION", hide_env_values = true)]
    pub region: Option<String>,
    /// The customer key of the source table; may be given several times
    #[arg(long, value_name = "ARN")]
    pub source_key: Vec<String>,
    /// The customer key of the state table
    #[arg(long, value_name = "ARN")]
    pub state_key: Option<String>,
    /// The customer key of the secret that opensearch.auth.password_secret names
    #[arg(long, value_name = "ARN")]
    pub secret_key: Option<String>,
    /// lambda, replay: the bucket for failed batches
    #[arg(long, value_name = "NAME")]
    pub on_failure_bucket: Option<String>,
    /// lambda, replay: the customer key of that bucket
    #[arg(long, value_name = "ARN", requires = "on_failure_bucket")]
    pub bucket_key: Option<String>,
    /// lambda: the function's log group
    #[arg(long, value_name = "NAME")]
    pub log_group: Option<String>,
    /// lambda: the customer key of the function's environment
    #[arg(long, value_name = "ARN")]
    pub function_key: Option<String>,
    /// lambda: the function's name; its own code is then denied the EC2 permissions that the VPC needs
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// lambda: a subnet of the function; may be given several times
    #[arg(long, value_name = "ID", requires = "security_group")]
    pub subnet: Vec<String>,
    /// lambda: a security group of the function; may be given several times
    #[arg(long, value_name = "ID", requires = "subnet")]
    pub security_group: Vec<String>,
    /// The OpenSearch domain, if opensearch.url is a custom address
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// The name of the Serverless collection
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
    /// --opensearch: the ARN of the role that signs requests, if the configuration does not name one
    #[arg(long, value_name = "ARN")]
    pub principal: Option<String>,
    /// Print the policy of this role, which the configuration assumes
    #[arg(long, value_name = "ARN", conflicts_with = "profile")]
    pub role: Option<String>,
    /// Print the policy of this profile, which the configuration names
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}
