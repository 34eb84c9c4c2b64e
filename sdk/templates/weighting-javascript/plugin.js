// A weighting plugin for the servos mesh: what works has the operator's weight, less of it if it is slow.

let slowUs = 20000;

export const weighting = {
  // `settings` is JSON text: the [settings] table of the plugin's file. What is thrown is what the operator reads.
  configure(settings) {
    const { slow_us: given = 20000, ...unknown } = JSON.parse(settings);
    for (const name of Object.keys(unknown)) throw `unknown setting ${JSON.stringify(name)}`;
    if (!Number.isInteger(given) || given < 0) throw "slow_us: give microseconds";
    slowUs = given;
  },

  // One weight a candidate, in their order, 0 to 1,000.
  weigh(_service, candidates) {
    return candidates.map(({ instance: { health, link, weightHint, roundTrip } }) => {
      if (health === "unhealthy" || link === "down" || weightHint === 0) return 0;
      return roundTrip > slowUs ? Math.ceil(weightHint / 2) : weightHint;
    });
  },
};
