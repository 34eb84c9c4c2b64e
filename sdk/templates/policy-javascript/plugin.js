// A policy plugin for the servos mesh: other servers of the mesh reach what runs here.

const MAX_RULES = 256;
const MAX_REASON = 64;

let proxy = true;

export const policy = {
  // `settings` is JSON text: the [settings] table of the plugin's file. What is thrown is what the operator reads.
  configure(settings) {
    const { proxy: given = true, ...unknown } = JSON.parse(settings);
    for (const name of Object.keys(unknown)) throw `unknown setting ${JSON.stringify(name)}`;
    if (typeof given !== "boolean") throw "proxy: give true or false";
    proxy = given;
  },

  // All rules that ought to be there; the host adds its guard rails.
  rules({ wireguardPort, instances, proxyPorts }) {
    const rules = new Map();
    const allow = (transport, port, source, reason) => {
      const key = `${transport} ${port} ${source}`;
      if (rules.has(key) || rules.size === MAX_RULES) return;
      const ports = { first: port, last: port };
      rules.set(key, { action: "allow", transport, ports, source: { tag: source }, reason: reason.slice(0, MAX_REASON) });
    };
    allow("udp", wireguardPort, "anywhere", "wireguard");
    for (const { service, transport, port } of instances) allow(transport, port, "mesh", `service ${service}`);
    if (proxy) for (const port of proxyPorts) allow("tcp", port, "mesh", "failover proxy");
    return [...rules.values()];
  },
};
