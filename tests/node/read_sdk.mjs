// Prints what the AWS SDK for JavaScript has for credentials and region: by "env", "ini" or "process".
import { STSClient } from "@aws-sdk/client-sts";
import { fromEnv, fromIni, fromProcess } from "@aws-sdk/credential-providers";

const [how, profile] = process.argv.slice(2);
const credentials = { env: fromEnv, ini: fromIni, process: fromProcess }[how]({ profile });
const client = new STSClient({ credentials, profile });
const { accessKeyId, secretAccessKey, sessionToken, expiration } = await client.config.credentials();
const region = await client.config.region().catch(() => "-");
console.log([accessKeyId, secretAccessKey, sessionToken ?? "-", expiration?.toISOString() ?? "-", region].join(" "));
