//! Prometheus' text format (version 0.0.4), made of what `status` says: one source, two forms.

use std::fmt::Write;

use serde_json::Value;

/// Where the meaning of a metric stands.
const SEE: &str = "See `servos-agent status --json`";

/// Renders every number below `executors[].detail` as `servos_<executor>_<path>`, counts with `_total`, and the few of
/// the agent itself and of its plugins. `status` is the answer of `status`.
pub fn render(status: &Value) -> String {
    let mut text = String::new();
    gauge(&mut text, "servos_agent_healthy", "1 while `status` names no problem", number(&status["healthy"]));
    gauge(&mut text, "servos_agent_uptime_seconds", "Since the agent started", number(&status["uptime_seconds"]));
    let rotating = Value::from(status["server"]["key_rotation"].is_object());
    gauge(&mut text, "servos_agent_key_rotation", "1 while both of two own keys are answered", number(&rotating));
    gauge(
        &mut text,
        "servos_mesh_revision",
        "Revision of the mesh state in force",
        number(&status["mesh"]["revision"]),
    );
    gauge(&mut text, "servos_mesh_peers", "Known peers", number(&status["mesh"]["peers"]));
    help(&mut text, "servos_mesh_updates_total", "Changes of the mesh put in force", "counter");
    for kind in ["whole", "delta"] {
        let _ = writeln!(text, "servos_mesh_updates_total{{kind=\"{kind}\"}} {}", status["control"]["updates"][kind]);
    }
    gauge(&mut text, "servos_control_failures", "Polls failed in a row", number(&status["control"]["failures"]));
    let executors = status["executors"].as_array().map(Vec::as_slice).unwrap_or_default();
    help(&mut text, "servos_executor_failures", "Rounds of an executor failed in a row", "gauge");
    for executor in executors {
        let name = executor["name"].as_str().unwrap_or("?");
        let _ = writeln!(text, "servos_executor_failures{{executor=\"{name}\"}} {}", executor["failures"]);
    }
    for executor in executors {
        let prefix = format!("servos_{}", executor["name"].as_str().unwrap_or("executor"));
        levels(&mut text, &prefix, &executor["detail"]);
    }
    let plugins = status["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    for count in ["calls", "faults"] {
        let name = format!("servos_plugin_{count}_total");
        help(&mut text, &name, SEE, "counter");
        for plugin in plugins {
            let _ = writeln!(text, "{name}{{plugin={}}} {}", plugin["name"], plugin[count]);
        }
    }
    help(&mut text, "servos_plugin_faults_by_kind_total", SEE, "counter");
    for plugin in plugins {
        for (kind, count) in plugin["faults_by_kind"].as_object().into_iter().flatten() {
            let name = &plugin["name"];
            let _ = writeln!(text, "servos_plugin_faults_by_kind_total{{plugin={name},kind=\"{kind}\"}} {count}");
        }
    }
    help(&mut text, "servos_plugin_running", "1 while it is asked", "gauge");
    for plugin in plugins {
        let running = u8::from(plugin["state"] == "running");
        let _ = writeln!(text, "servos_plugin_running{{plugin={}}} {running}", plugin["name"]);
    }
    help(&mut text, "servos_plugin_memory_peak_bytes", SEE, "gauge");
    for plugin in plugins {
        let peak = plugin["memory_peak_bytes"].as_u64().unwrap_or_default();
        let _ = writeln!(text, "servos_plugin_memory_peak_bytes{{plugin={}}} {peak}", plugin["name"]);
    }
    latencies(&mut text, plugins);
    text
}

/// How long calls of plugins took, as a histogram.
fn latencies(text: &mut String, plugins: &[Value]) {
    const NAME: &str = "servos_plugin_call_seconds";
    help(text, NAME, "How long calls took", "histogram");
    for plugin in plugins {
        let (name, latency) = (&plugin["name"], &plugin["latency"]);
        for bucket in latency["buckets"].as_array().into_iter().flatten() {
            let (bound, count) = (&bucket["le_seconds"], &bucket["count"]);
            let _ = writeln!(text, "{NAME}_bucket{{plugin={name},le=\"{bound}\"}} {count}");
        }
        let Some(count) = latency["count"].as_u64() else { continue };
        let _ = writeln!(text, "{NAME}_bucket{{plugin={name},le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{NAME}_sum{{plugin={name}}} {}", latency["sum_seconds"]);
        let _ = writeln!(text, "{NAME}_count{{plugin={name}}} {count}");
    }
}

/// Fields of a `counters` object that are levels, not counts.
const LEVELS: [&str; 2] = ["sessions", "held_packets"];

/// Numbers of an object: a level each; what stands below `counters` is a count, `<name>_total`.
fn levels(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match field.as_str() {
                    "counters" => counts(text, name, value),
                    _ => levels(text, &format!("{name}_{field}"), value),
                }
            }
        }
        Value::Number(_) | Value::Bool(_) => gauge(text, name, SEE, number(value)),
        _ => {}
    }
}

/// Counts of an object; an object in it is one metric, whose label is the `reason`.
fn counts(text: &mut String, name: &str, value: &Value) {
    for (field, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(reasons) => {
                let name = format!("{name}_{field}_total");
                help(text, &name, SEE, "counter");
                for (reason, value) in reasons {
                    let _ = writeln!(text, "{name}{{reason=\"{reason}\"}} {value}");
                }
            }
            _ if LEVELS.contains(&field.as_str()) => gauge(text, &format!("{name}_{field}"), SEE, number(value)),
            Value::Number(number) => {
                let name = format!("{name}_{}_total", field.trim_end_matches("_total"));
                help(text, &name, SEE, "counter");
                let _ = writeln!(text, "{name} {number}");
            }
            _ => {}
        }
    }
}

fn gauge(text: &mut String, name: &str, about: &str, value: Option<f64>) {
    let Some(value) = value else { return };
    help(text, name, about, "gauge");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name} {value}");
}

fn help(text: &mut String, name: &str, about: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

fn number(value: &Value) -> Option<f64> {
    value.as_bool().map(|yes| f64::from(u8::from(yes))).or_else(|| value.as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_levels_reasons_and_plugins_are_told_apart() {
        let text = render(&json!({
            "healthy": true,
            "server": { "key_rotation": { "phase": "publishing" } },
            "control": { "updates": { "whole": 1, "delta": 6 } },
            "executors": [{ "name": "tunnel", "failures": 2, "detail": {
                "port": 51820,
                "interface": "wg0",
                "counters": { "tx_packets": 7, "sessions": 3, "held_total": 1, "drops": { "no_endpoint": 4 } },
            }}],
            "plugins": [{
                "name": "10-canary", "state": "running", "calls": 5, "faults": 1, "memory_peak_bytes": 65536,
                "faults_by_kind": { "trap": 1, "deadline": 0 },
                "latency": { "buckets": [{ "le_seconds": 0.001, "count": 3 }], "count": 5, "sum_seconds": 0.25 },
            }],
        }));
        for line in [
            "servos_agent_healthy 1",
            "servos_agent_key_rotation 1",
            "servos_mesh_updates_total{kind=\"delta\"} 6",
            "servos_executor_failures{executor=\"tunnel\"} 2",
            "servos_tunnel_port 51820",
            "# TYPE servos_tunnel_tx_packets_total counter",
            "servos_tunnel_tx_packets_total 7",
            "# TYPE servos_tunnel_sessions gauge",
            "servos_tunnel_sessions 3",
            "servos_tunnel_held_total 1",
            "servos_tunnel_drops_total{reason=\"no_endpoint\"} 4",
            "servos_plugin_calls_total{plugin=\"10-canary\"} 5",
            "servos_plugin_faults_total{plugin=\"10-canary\"} 1",
            "servos_plugin_faults_by_kind_total{plugin=\"10-canary\",kind=\"trap\"} 1",
            "servos_plugin_running{plugin=\"10-canary\"} 1",
            "servos_plugin_memory_peak_bytes{plugin=\"10-canary\"} 65536",
            "servos_plugin_call_seconds_bucket{plugin=\"10-canary\",le=\"0.001\"} 3",
            "servos_plugin_call_seconds_bucket{plugin=\"10-canary\",le=\"+Inf\"} 5",
            "servos_plugin_call_seconds_sum{plugin=\"10-canary\"} 0.25",
            "servos_plugin_call_seconds_count{plugin=\"10-canary\"} 5",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        let at_rest = render(&json!({ "server": { "key_rotation": null } }));
        assert!(at_rest.lines().any(|line| line == "servos_agent_key_rotation 0"), "{at_rest}");
        // Each metric is described once.
        let mut described: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = described.len();
        described.sort_unstable();
        described.dedup();
        assert_eq!(described.len(), all, "{text}");
    }
}
