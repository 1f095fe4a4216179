//! The variables by which clouds say who a process is there.

use super::Variable;

const fn of(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, meaning }
}

/// By name. Their values are read where the clouds are.
#[rustfmt::skip]
pub(crate) const CLOUD: &[Variable] = &[
    of("AWS_ACCESS_KEY_ID", "A key of Amazon's, with `AWS_SECRET_ACCESS_KEY`: for `s3://` and for its registries."),
    of("AWS_CONFIG_FILE", "Profiles with a region; default `$HOME/.aws/config`."),
    of("AWS_CONTAINER_AUTHORIZATION_TOKEN", "The token for `AWS_CONTAINER_CREDENTIALS_FULL_URI`."),
    of("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "The file of that token, as EKS sets it."),
    of("AWS_CONTAINER_CREDENTIALS_FULL_URI", "Where a container gets the credentials of its role."),
    of("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "The same on `169.254.170.2`, as ECS sets it."),
    of("AWS_DEFAULT_REGION", "The region where `AWS_REGION` is not set."),
    of("AWS_EC2_METADATA_DISABLED", "`true`: the machine is not asked for its role."),
    of("AWS_EC2_METADATA_SERVICE_ENDPOINT", "Where the machine is asked for its role; default `http://169.254.169.254`, on Amazon's machines only."),
    of("AWS_ENDPOINT_URL", "The address of each service of Amazon's that has none of its own."),
    of("AWS_ENDPOINT_URL_ECR", "The address of the service that gives passwords for registries."),
    of("AWS_ENDPOINT_URL_ECR_PUBLIC", "The same for `public.ecr.aws`."),
    of("AWS_ENDPOINT_URL_S3", "The address of the object store, where `S3_ENDPOINT` is not set."),
    of("AWS_ENDPOINT_URL_STS", "The address of the service that gives roles."),
    of("AWS_PROFILE", "The profile of `$HOME/.aws/credentials`; its keys and its region are read, nothing else."),
    of("AWS_REGION", "The region of the object store and of the service that gives roles; default `us-east-1`."),
    of("AWS_ROLE_ARN", "The role that the token in `AWS_WEB_IDENTITY_TOKEN_FILE` is for."),
    of("AWS_ROLE_SESSION_NAME", "What the session in that role is called; default `strata`."),
    of("AWS_SECRET_ACCESS_KEY", "The secret of `AWS_ACCESS_KEY_ID`."),
    of("AWS_SESSION_TOKEN", "The token that belongs to a key which expires."),
    of("AWS_SHARED_CREDENTIALS_FILE", "Profiles with keys; default `$HOME/.aws/credentials`."),
    of("AWS_WEB_IDENTITY_TOKEN_FILE", "The token that buys a role, as Kubernetes and CI systems give it."),
    of("AZURE_AUTHORITY_HOST", "Who gives tokens of Microsoft's; default `https://login.microsoftonline.com`."),
    of("AZURE_CLIENT_ID", "The client, or the managed identity, to be in Azure: for its object stores and registries."),
    of("AZURE_CLIENT_SECRET", "The secret of `AZURE_CLIENT_ID`."),
    of("AZURE_FEDERATED_TOKEN_FILE", "The token to be `AZURE_CLIENT_ID` with, as workload identity sets it."),
    of("AZURE_POD_IDENTITY_AUTHORITY_HOST", "Where the machine is asked for its identity; default `http://169.254.169.254`, on Azure's machines only."),
    of("AZURE_STORAGE_ACCESS_KEY", "The key of the account of a context in `https://ACCOUNT.blob.core.windows.net/`."),
    of("AZURE_STORAGE_KEY", "The same where that is not set."),
    of("AZURE_STORAGE_SAS_TOKEN", "A shared access signature for it."),
    of("AZURE_STORAGE_SERVICE_ENDPOINT", "The address to ask in place of `https://ACCOUNT.blob.core.windows.net`."),
    of("AZURE_TENANT_ID", "The tenant of `AZURE_CLIENT_ID`."),
    of("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", "The address to ask in place of `https://storage.googleapis.com`."),
    of("CLOUDSDK_CONFIG", "Where `application_default_credentials.json` is; default `$HOME/.config/gcloud`."),
    of("GCE_METADATA_HOST", "Where the machine is asked for its service account; default `169.254.169.254`, on Google's machines only."),
    of("GOOGLE_APPLICATION_CREDENTIALS", "A file with a service account's key, an authorized user or an external account: for `gs://` and for Google's registries."),
    of("IDENTITY_ENDPOINT", "Where an App Service of Azure gets its identity, with `IDENTITY_HEADER`."),
    of("IDENTITY_HEADER", "What is sent there."),
    of("S3_ENDPOINT", "The address of an object store that speaks as Amazon's does."),
    of("S3_FORCE_PATH_STYLE", "`true`: the bucket is part of the path and not of the server's name. A server without a name is asked so in any case."),
    of("STORAGE_EMULATOR_HOST", "An emulator of Google's object store, which is told nobody's name."),
];
