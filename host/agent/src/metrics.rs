//! Prometheus' text format (version 0.0.4), made of what `status` says: one source, two forms.

use std::fmt::Write;

use serde_json::Value;

use crate::report::Status;

/// Renders every number below `executors[].detail` as `servos_<executor>_<path>`, and the few of the agent itself.
pub fn render(status: &Status) -> String {
    let status = serde_json::to_value(status).unwrap_or_default();
    let mut text = String::new();
    gauge(&mut text, "servos_agent_healthy", "1 while `status` names no problem", number(&status["healthy"]));
    gauge(&mut text, "servos_agent_uptime_seconds", "Since the agent started", number(&status["uptime_seconds"]));
    gauge(
        &mut text,
        "servos_mesh_revision",
        "Revision of the mesh state in force",
        number(&status["mesh"]["revision"]),
    );
    gauge(&mut text, "servos_mesh_peers", "Known peers", number(&status["mesh"]["peers"]));
    gauge(&mut text, "servos_control_failures", "Polls failed in a row", number(&status["control"]["failures"]));
    let executors = status["executors"].as_array().map(Vec::as_slice).unwrap_or_default();
    help(&mut text, "servos_executor_failures", "Rounds of an executor failed in a row");
    for executor in executors {
        let name = executor["name"].as_str().unwrap_or("?");
        let _ = writeln!(text, "servos_executor_failures{{executor=\"{name}\"}} {}", executor["failures"]);
    }
    for executor in executors {
        let prefix = format!("servos_{}", executor["name"].as_str().unwrap_or("executor"));
        numbers(&mut text, &prefix, &executor["detail"]);
    }
    text
}

fn numbers(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let field: String = field.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                numbers(text, &format!("{name}_{field}"), value);
            }
        }
        Value::Number(_) | Value::Bool(_) => gauge(text, name, "See `servos-agent status --json`", number(value)),
        _ => {}
    }
}

fn gauge(text: &mut String, name: &str, about: &str, value: Option<f64>) {
    let Some(value) = value else { return };
    help(text, name, about);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name} {value}");
}

fn help(text: &mut String, name: &str, about: &str) {
    let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} gauge");
}

fn number(value: &Value) -> Option<f64> {
    value.as_bool().map(|yes| f64::from(u8::from(yes))).or_else(|| value.as_f64())
}
