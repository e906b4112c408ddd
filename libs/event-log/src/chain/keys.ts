import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, sign, type KeyObject } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileFault, syncFolder } from './files';

/** Of an Ed25519 public key: the first 32 hex digits of SHA-256 over its SPKI DER. */
export const keyId = (publicKey: KeyObject): string =>
  hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'hex').slice(0, 32);

export interface SigningKey {
  readonly id: string;
  readonly publicPem: string;
  /** Ed25519; 64 bytes. */
  sign(bytes: Uint8Array): Buffer;
}

/** Public keys by {@link keyId}. */
export type PublicKeys = ReadonlyMap<string, KeyObject>;

/** @throws Error what is no Ed25519 public key in PEM */
export const readPublicKey = (pem: string): readonly [string, KeyObject] => {
  if (/PRIVATE KEY/.test(pem)) throw new Error('a private key, where the public one is wanted');
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`a key for ${key.asymmetricKeyType}, not Ed25519`);
  return [keyId(key), key];
};

const signingKey = (pem: string): SigningKey => {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`a key for ${key.asymmetricKeyType}, not Ed25519`);
  const publicKey = createPublicKey(key);
  return {
    id: keyId(publicKey),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (bytes) => sign(null, bytes, key),
  };
};

/** Writes a file whole or not at all. */
const place = async (file: string, content: string, mode: number): Promise<void> => {
  const draft = `${file}.draft`;
  const handle = await open(draft, 'w', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
  await syncFolder(dirname(file));
};

/**
 * The key in `file` (PKCS #8 PEM), made there on first use, readable for its owner only. Take the file away and the next start makes
 * another: that is how keys are changed. @throws HeadsUnusable
 */
export const loadSigningKey = async (file: string): Promise<SigningKey> => {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (kept !== undefined) return signingKey(kept);
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await place(file, pem, 0o600);
    return signingKey(pem);
  } catch (error) {
    throw fileFault(error, file);
  }
};

const publicFile = (folder: string, id: string): string => join(folder, `${id}.pem`);

/** Puts the public half beside the heads, where it stays when the key is changed. */
export const publishKey = async (folder: string, { id, publicPem }: SigningKey): Promise<void> => {
  const file = publicFile(folder, id);
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== publicPem) await place(file, publicPem, 0o644);
};

/** All public keys beside the heads; a file that is no such key under its own id counts for nothing. */
export const publishedKeys = async (folder: string): Promise<PublicKeys> => {
  const keys = new Map<string, KeyObject>();
  for (const name of await readdir(folder)) {
    if (!/^[0-9a-f]{32}\.pem$/.test(name)) continue;
    try {
      const [id, key] = readPublicKey(await readFile(join(folder, name), 'utf8'));
      if (name === `${id}.pem`) keys.set(id, key);
    } catch {
      // heads signed with it won't verify, and that will be said
    }
  }
  return keys;
};
