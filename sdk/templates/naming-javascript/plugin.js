// A naming plugin for the servos mesh: `hello` is this server.

import directory from "servos:plugin/directory@0.1.0";

let ttl = 5;

export const naming = {
  // `settings` is JSON text: the [settings] table of the plugin's file. What is thrown is what the operator reads.
  configure(settings) {
    const { ttl: given = 5, ...unknown } = JSON.parse(settings);
    for (const name of Object.keys(unknown)) throw `unknown setting ${JSON.stringify(name)}`;
    if (!Number.isInteger(given) || given < 0 || given > 60) throw "ttl: give 0 to 60 seconds";
    ttl = given;
  },

  resolve({ name, recordType }) {
    if (name !== "hello") return { tag: "pass" };
    const { name: own, address } = directory.thisServer();
    // Nameless until the first state of the mesh has come.
    if (own === "" || recordType !== "a") return { tag: "no-data" };
    return { tag: "answers", val: [{ ttl, rdata: { tag: "a", val: address } }] };
  },
};
