// Example plugin: names of the settings answer with the instances of a service.
//
//     [settings.aliases]
//     db = "postgres"

import directory from "servos:plugin/directory@0.1.0";

let aliases = new Map();

export const naming = {
  // What is thrown is what the operator reads.
  configure(settings) {
    const { aliases: given = {}, ...unknown } = JSON.parse(settings);
    for (const setting of Object.keys(unknown)) throw `unknown setting ${JSON.stringify(setting)}`;
    for (const [name, service] of Object.entries(given)) {
      if (typeof service !== "string") throw `aliases.${name}: give the name of a service`;
    }
    aliases = new Map(Object.entries(given));
  },

  resolve({ name, recordType }) {
    const service = aliases.get(name);
    if (service === undefined) return { tag: "pass" };
    const usable = directory.instances(service).filter((instance) => instance.health !== "unhealthy");
    const servers = new Map(usable.map(({ server }) => [server.name, server]));
    if (recordType !== "a" || servers.size === 0) return { tag: "no-data" };
    const answers = [...servers.values()].slice(0, 8);
    return { tag: "answers", val: answers.map(({ address }) => ({ ttl: 5, rdata: { tag: "a", val: address } })) };
  },
};
