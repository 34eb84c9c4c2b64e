//! Settings arrive as JSON text and become the plugin's own type, or an error that names the field.

use serde::de::DeserializeOwned;

/// Reads the settings.
///
/// # Errors
///
/// What is wrong, without the place in the JSON text: the operator wrote TOML.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        format!("settings: {}", message.strip_suffix(&place).unwrap_or(&message))
    })
}
