//! The plot of CPU cost against the number of sessions, as SVG.

use std::fmt::Write as _;

use super::report::Row;

/// A line of the plot.
struct Curve<'a> {
    relay: &'a str,
    /// Sessions, and CPU seconds for each GB.
    points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 345.0;
/// Told apart by colour and by the shape of their line.
const STYLES: [(&str, &str); 6] = [
    ("#0b6e4f", "none"),
    ("#b3541e", "7 4"),
    ("#3d5a99", "2 3"),
    ("#7a3e8f", "10 3 2 3"),
    ("#666666", "4 4"),
    ("#a11d33", "1 2"),
];

/// Draws the rows of one cell, whose names end in the number of sessions. `None` if there are less
/// than two numbers.
pub(super) fn draw(rows: &[Row], cell: &str) -> Option<String> {
    let curves = curves(rows, cell);
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let counts: Vec<f64> = curves.first()?.points.iter().map(|(count, _)| *count).collect();
    let [first, .., last] = counts[..] else { return None };
    let top = nice(points().map(|(_, cost)| *cost).fold(0.0, f64::max));
    let x = |count: f64| LEFT + (RIGHT - LEFT) * (count / first).ln() / (last / first).ln();
    let y = |cost: f64| BOTTOM - (BOTTOM - TOP) * cost / top;
    let mut svg = head();
    for step in 0..=4 {
        let cost = top * f64::from(step) / 4.0;
        let at = y(cost);
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{cost}</text>\n",
            LEFT - 8.0,
            at + 4.0
        );
    }
    for count in counts {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{count}</text>",
            x(count),
            BOTTOM + 20.0
        );
    }
    for (curve, (colour, dashes)) in curves.iter().zip(STYLES.iter().cycle()) {
        line(&mut svg, curve, [colour, dashes], (&x, &y));
    }
    names(&mut svg, &curves, y);
    svg.push_str("</svg>\n");
    Some(svg)
}

fn curves<'a>(rows: &'a [Row], cell: &str) -> Vec<Curve<'a>> {
    let mut curves: Vec<Curve<'a>> = Vec::new();
    for row in rows {
        let count = row.cell.strip_prefix(cell).and_then(|rest| rest.trim().parse().ok());
        let Some(count) = count else { continue };
        let point = (count, row.median);
        match curves.iter_mut().find(|curve| curve.relay == row.relay) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { relay: &row.relay, points: vec![point] }),
        }
    }
    curves
}

fn head() -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>CPU cost of relays by number of sessions</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"15\">CPU seconds for each GB, at 500 Mbit/s in \
         interleaved sessions</text>\n\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">sessions</text>\n",
        LEFT.midpoint(RIGHT),
        HEIGHT - 15.0
    )
}

type Scale<'a> = &'a dyn Fn(f64) -> f64;

fn line(
    svg: &mut String,
    curve: &Curve<'_>,
    [colour, dashes]: [&str; 2],
    (x, y): (Scale<'_>, Scale<'_>),
) {
    let points: Vec<_> = curve
        .points
        .iter()
        .map(|(count, cost)| format!("{:.1},{:.1}", x(*count), y(*cost)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
         stroke-dasharray=\"{dashes}\"/>",
        points.join(" ")
    );
}

/// Writes each name at the end of its line, without overlaps.
fn names(svg: &mut String, curves: &[Curve<'_>], y: impl Fn(f64) -> f64) {
    let end = |curve: &Curve<'_>| curve.points.last().map_or(BOTTOM, |(_, cost)| y(*cost));
    let mut ends: Vec<_> = curves
        .iter()
        .zip(STYLES.iter().cycle())
        .map(|(curve, style)| (end(curve), curve.relay, style.0))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut lowest = TOP;
    for (at, name, colour) in ends {
        let at = at.max(lowest);
        lowest = at + 16.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            RIGHT + 10.0,
            at + 4.0
        );
    }
}

/// The next number that is easy to divide by four.
fn nice(value: f64) -> f64 {
    [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0, 40.0]
        .into_iter()
        .find(|nice| *nice >= value)
        .unwrap_or((value / 40.0).ceil() * 40.0)
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::{Report, Series},
        *,
    };

    #[test]
    fn every_relay_has_a_line_with_its_name() {
        let mut report = Report::new(1, 1.0);
        for (cell, gateway, nginx) in
            [("sessions 100", 2.0, 4.0), ("sessions 5000", 3.0, 8.5), ("bursts", 1.0, 1.0)]
        {
            let series = [("gateway", gateway), ("nginx", nginx)].map(|(relay, value)| Series {
                relay: relay.to_owned(),
                values: vec![value],
                ..Series::default()
            });
            report.add(cell, "CPU s/GB", &series);
        }

        let svg = draw(&report.rows, "sessions").unwrap();

        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("points=\"60.0,295.8 590.0,271.2\""), "{svg}");
        assert!(svg.contains(">gateway</text>") && svg.contains(">nginx</text>"), "{svg}");
        assert_eq!(draw(&report.rows[..2], "sessions"), None, "one number of sessions");
        assert_eq!(draw(&[], "sessions"), None);
    }
}
