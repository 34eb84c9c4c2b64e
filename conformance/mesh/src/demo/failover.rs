//! Failover through the real Traefik: spread by weight, a server cut off, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::stage::{API_WEIGHTS, Stage};
use crate::mesh::Server;
use crate::wait_for;

/// A client like any other: resolves `api` anew and opens a connection for each request.
const CLIENT: &str = r#"
import collections, http.client, json, sys, time
count, pause, start_after = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
time.sleep(start_after)
answers, failures, slowest = collections.Counter(), [], 0.0
for number in range(count):
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection("api", 80, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read().decode().strip()
        if response.status == 200: answers[body] += 1
        else: failures.append(f"{number}: status {response.status}")
        connection.close()
    except Exception as error:
        failures.append(f"{number}: {error!r}")
    slowest = max(slowest, time.monotonic() - began)
    time.sleep(pause)
print(json.dumps({"answers": answers, "failures": failures, "slowest": slowest}))
"#;

#[derive(Debug, Deserialize)]
struct Seen {
    answers: BTreeMap<String, u32>,
    failures: Vec<String>,
    slowest: f64,
}

impl Seen {
    fn share(&self, server: &str) -> u32 {
        self.answers.get(server).copied().unwrap_or(0)
    }
}

fn ask(server: &Server, count: u32, pause: &str, start_after: &str) -> Result<Seen> {
    let output = server.machine.run("python3", &["-c", CLIENT, &count.to_string(), pause, start_after])?;
    let text = output.success("HTTP client")?;
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// 200 requests from the server that runs none of it.
pub fn spread(stage: &mut Stage) -> Result<String> {
    let seen = wait_for("all three instances in turn", Duration::from_secs(20), || {
        let seen = ask(&stage.servers[3], 20, "0", "0")?;
        ensure!(seen.answers.len() == 3, "{seen:?}");
        ask(&stage.servers[3], 200, "0", "0")
    })?;
    ensure!(seen.failures.is_empty(), "{:?}", seen.failures);
    let sum: u32 = API_WEIGHTS.iter().map(|&weight| u32::from(weight)).sum();
    for (number, weight) in API_WEIGHTS.into_iter().enumerate() {
        let name = format!("s{}", number + 1);
        let expected = 200 * u32::from(weight) / sum;
        let got = seen.share(&name);
        ensure!(got.abs_diff(expected) <= 6, "{name} answered {got} of 200, its weight says {expected}: {seen:?}");
    }
    Ok(format!(
        "weights 100:100:200, of 200 requests s1 {} s2 {} s3 {}",
        seen.share("s1"),
        seen.share("s2"),
        seen.share("s3")
    ))
}

/// The second server's cable is pulled, and put back.
pub fn cut(stage: &mut Stage) -> Result<String> {
    stage.servers[1].machine.cut()?;
    // Requests begin two seconds after the cut, 50 a second for five seconds.
    let during = ask(&stage.servers[3], 250, "0.02", "2");
    stage.servers[1].machine.join()?;
    let during = during?;
    ensure!(during.failures.is_empty(), "{} of 250 failed: {:?}", during.failures.len(), during.failures);
    ensure!(during.share("s2") == 0, "a server that is cut off answers: {during:?}");
    let after = wait_for("the share of the server that came back", Duration::from_secs(40), || {
        let seen = ask(&stage.servers[3], 40, "0", "0")?;
        ensure!(seen.failures.is_empty() && seen.share("s2") >= 6, "{seen:?}");
        Ok(seen)
    })?;
    Ok(format!(
        "cut: 250 of 250 answered by s1 {} s3 {}, slowest {:.0} ms; back: s2 has {} of 40",
        during.share("s1"),
        during.share("s3"),
        during.slowest * 1e3,
        after.share("s2")
    ))
}
