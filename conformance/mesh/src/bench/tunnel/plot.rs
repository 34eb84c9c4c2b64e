//! The plot of the sheet: a panel of bars a figure, as SVG.

use std::fmt::Write as _;

use super::figure::{CPU_SENDER, ECHO_IDLE_P99, Figure, OURS, PACKETS, PEERS, RESIDENT, STREAM_THERE};
use crate::bench::report::number;
use crate::bench::results::Results;
use crate::bench::spread::Spread;

/// What is drawn, and which way is better.
const PANELS: [(Figure, &str); 5] = [
    (STREAM_THERE, "more is better"),
    (CPU_SENDER, "less is better"),
    (PACKETS, "more is better"),
    (ECHO_IDLE_P99, "less is better"),
    (RESIDENT, "less is better"),
];

const WIDTH: f64 = 760.0;
/// Where bars begin and where the longest ends; names stand left of them, figures right.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 620.0;
const BAR: f64 = 18.0;
const HEAD: f64 = 44.0;

/// One SVG document.
pub(super) fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut top = 0.0;
    for (figure, better) in PANELS {
        let bars: Vec<_> = std::iter::once(OURS)
            .chain(PEERS)
            .filter_map(|device| Some((device, results.spread(figure, device)?)))
            .collect();
        if !bars.is_empty() {
            panel(&mut body, top, &format!("{}, {} ({better})", figure.name, figure.unit), &bars);
            top += HEAD + bars.len() as f64 * BAR;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n",
        height = top + 12.0
    )
}

fn panel(body: &mut String, top: f64, title: &str, bars: &[(&str, Spread)]) {
    let longest = bars.iter().map(|(_, spread)| spread.max).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + (RIGHT - LEFT) * (value / longest).max(0.0);
    text(body, 12.0, top + 30.0, "start", "#222", title);
    for (at, (device, spread)) in bars.iter().enumerate() {
        let y = top + HEAD + at as f64 * BAR;
        let colour = if *device == OURS { "#c2410c" } else { "#94a3b8" };
        let (width, middle) = (x(spread.median) - LEFT, y + (BAR - 4.0) / 2.0);
        text(body, LEFT - 8.0, y + 11.0, "end", "#222", device);
        // Writing into a string cannot fail.
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>",
            BAR - 4.0
        );
        let _ = writeln!(body, "<path d=\"M{:.1} {middle}H{:.1}\" stroke=\"#222\"/>", x(spread.min), x(spread.max));
        text(body, x(spread.max) + 8.0, y + 11.0, "start", "#222", &number(spread.median));
    }
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    // Writing into a string cannot fail.
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_figure() {
        let mut results = Results::default();
        results.add(STREAM_THERE, OURS, 4.0);
        results.add(STREAM_THERE, PEERS[0], 1.0);
        let svg = svg(&results);
        assert!(svg.contains("width=\"430.0\"") && svg.contains("width=\"107.5\""), "{svg}");
        assert_eq!(svg.matches("fill=\"#94a3b8\"").count(), 1);
    }
}
