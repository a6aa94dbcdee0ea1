"""What a cloud's own client for Python makes of our emulator of that cloud: one call, told in JSON on standard input."""

import base64
import json
import socket
import sys
from urllib.parse import urlsplit, urlunsplit

asked = json.load(sys.stdin)
value = base64.b64decode(asked["value"])
endpoints = asked["endpoints"]
look_up = socket.getaddrinfo


def look_up_here(host, *rest, **named):
    return look_up("127.0.0.1" if host.endswith(".emulator.test") else host, *rest, **named)


socket.getaddrinfo = look_up_here


def host_of(url):
    return urlsplit(url).netloc


def aws():
    import boto3

    region, role_arn, external_id = (asked["config"][name] for name in ("region", "roleArn", "externalId"))
    settings = {"region_name": region, "verify": asked["ca"]}
    sts = boto3.client("sts", endpoint_url=endpoints["awsSts"], **settings)
    session = sts.assume_role(
        RoleArn=role_arn, RoleSessionName="other", DurationSeconds=900, ExternalId=external_id
    )["Credentials"]
    kms = boto3.client(
        "kms",
        endpoint_url=endpoints["awsKms"],
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        **settings,
    )
    named = {"KeyId": asked["key"], "EncryptionContext": asked["context"]}
    if asked["act"] == "encrypt":
        answer = kms.encrypt(Plaintext=value, **named)
        return answer["KeyId"], answer["CiphertextBlob"]
    answer = kms.decrypt(CiphertextBlob=value, **named)
    return answer["KeyId"], answer["Plaintext"]


def gcp():
    from google.auth import identity_pool, impersonated_credentials
    from google.cloud import kms

    source = identity_pool.Credentials.from_file(
        asked["identity"], scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    account = asked["config"]["serviceAccount"]
    credentials = impersonated_credentials.Credentials(
        source_credentials=source,
        target_principal=account,
        target_scopes=["https://www.googleapis.com/auth/cloudkms"],
        lifetime=300,
        iam_endpoint_override=f"{endpoints['gcpIam']}/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
    )
    client = kms.KeyManagementServiceClient(
        credentials=credentials,
        transport="rest",
        client_options={"api_endpoint": host_of(endpoints["gcpKms"])},
    )
    aad = base64.b64decode(asked["aad"])
    request = {
        "name": asked["key"],
        "additional_authenticated_data": aad,
        "additional_authenticated_data_crc32c": asked["crcs"]["aad"],
    }
    if asked["act"] == "encrypt":
        answer = client.encrypt(
            request={**request, "plaintext": value, "plaintext_crc32c": asked["crcs"]["value"]}
        )
        assert answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c
        return asked["key"], answer.ciphertext
    answer = client.decrypt(
        request={**request, "ciphertext": value, "ciphertext_crc32c": asked["crcs"]["value"]}
    )
    return asked["key"], answer.plaintext


def azure():
    from azure.core.pipeline.transport import RequestsTransport
    from azure.identity import ClientSecretCredential
    from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm

    class ToEmulator(RequestsTransport):
        """Names the vault as the vault names itself, and asks the emulator."""

        def send(self, request, **named):
            parts = urlsplit(request.url)
            request.url = urlunsplit(parts._replace(netloc=host_of(endpoints["azureVault"])))
            try:
                return super().send(request, **named)
            finally:
                request.url = urlunsplit(parts)

    application = asked["config"]["application"]
    credential = ClientSecretCredential(
        application["azureTenantId"],
        application["clientId"],
        asked["secret"],
        authority=endpoints["azureAuthority"],
        disable_instance_discovery=True,
        connection_verify=asked["ca"],
    )
    client = CryptographyClient(
        asked["key"], credential, transport=ToEmulator(connection_verify=asked["ca"])
    )
    if asked["act"] == "encrypt":
        answer = client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, value)
        return answer.key_id, answer.encrypted_key
    answer = client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, value)
    return answer.key_id, answer.key


key, result = {"aws": aws, "gcp": gcp, "azure": azure}[asked["cloud"]]()
json.dump({"key": key, "value": base64.b64encode(result).decode()}, sys.stdout)
