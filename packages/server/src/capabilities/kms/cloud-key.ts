/** A key in a cloud's KMS and how this server is let at it; no member is a secret (kms-admin.md §1.1). */
export type CloudKey = AwsKey | GcpKey | AzureKey;
/** Null: there is none. `given_up`: there was one, and the root key takes over what it wraps. */
export type OperatorKey = CloudKey | 'given_up' | null;
export type CloudName = CloudKey['provider'];

export interface AwsKey {
  readonly provider: 'aws';
  /** ARN of a key or an alias. */
  readonly keyRef: string;
  readonly config: {
    readonly region: string;
    /** Null, the operator's only: the server's own identity uses the key. */
    readonly roleArn: string | null;
    readonly externalId: string | null;
  };
}

export interface GcpKey {
  readonly provider: 'gcp';
  readonly keyRef: string;
  readonly config: {
    /** Null, the operator's only: as above. */
    readonly serviceAccount: string | null;
    readonly projectId: string | null;
  };
}

export interface AzureKey {
  readonly provider: 'azure';
  /** URL of the key, with or without a version. */
  readonly keyRef: string;
  readonly config: {
    readonly vaultUrl: string;
    /** Null: the managed identity of the machine. */
    readonly application: {
      readonly azureTenantId: string;
      readonly clientId: string;
      /** Name of the variable that holds the secret. */
      readonly secretVariable: string;
    } | null;
  };
}
