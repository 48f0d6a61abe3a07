// Reads paths from standard input, one a line, and prints what the AWS SDK for JavaScript finds in each, as JSON.
import { createInterface } from "node:readline";
import { loadSharedConfigFiles } from "@smithy/shared-ini-file-loader";

for await (const filepath of createInterface({ input: process.stdin })) {
  const { credentialsFile } = await loadSharedConfigFiles({ filepath, configFilepath: "/dev/null", ignoreCache: true });
  console.log(JSON.stringify(credentialsFile));
}
