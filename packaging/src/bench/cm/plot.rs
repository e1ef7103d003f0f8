//! The plot of CPU time by mode and server, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 160.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 70.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
const COLOURS: [&str; 3] = ["#0b6e4f", "#b3541e", "#3d5a99"];

/// Draws a bar for each value, in groups of the same mode. `None` without values.
pub(super) fn draw(values: &[(String, &str, f64)]) -> Option<String> {
    let longest = values.iter().map(|(_, _, ms)| *ms).reduce(f64::max)?;
    let mut servers: Vec<&str> = Vec::new();
    let (mut bars, mut at, mut last) = (String::new(), TOP, None);
    for (mode, server, ms) in values {
        if last != Some(mode) {
            at += if last.is_some() { GAP } else { 0.0 };
            let _ = writeln!(
                bars,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mode}</text>",
                LEFT - 8.0,
                at + BAR - 2.0
            );
            last = Some(mode);
        }
        let colour = colour(&mut servers, server);
        let length = (RIGHT - LEFT) * ms / longest.max(f64::MIN_POSITIVE);
        let _ = writeln!(
            bars,
            "<rect x=\"{LEFT}\" y=\"{at:.1}\" width=\"{length:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\">{ms:.2}</text>",
            BAR - 2.0,
            LEFT + length + 6.0,
            at + BAR - 3.0
        );
        at += BAR;
    }
    Some(format!("{}{}{bars}</svg>\n", head(at + 20.0), legend(&servers)))
}

fn colour<'a>(servers: &mut Vec<&'a str>, server: &'a str) -> &'static str {
    let known = servers.iter().position(|known| *known == server);
    let place = known.unwrap_or_else(|| {
        servers.push(server);
        servers.len() - 1
    });
    COLOURS[place % COLOURS.len()]
}

fn head(height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>CPU time of a log-on by mode and server</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"26\" font-size=\"15\">CPU milliseconds for each log-on</text>\n"
    )
}

fn legend(servers: &[&str]) -> String {
    let mut legend = String::new();
    let mut x = LEFT;
    for (server, colour) in servers.iter().zip(COLOURS.iter().cycle()) {
        let _ = writeln!(
            legend,
            "<rect x=\"{x}\" y=\"40\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\n\
             <text x=\"{}\" y=\"51\">{server}</text>",
            x + 18.0
        );
        x += 110.0;
    }
    legend
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_bar_is_in_proportion() {
        let values = [("new", "manager", 2.0), ("new", "nginx", 1.0), ("keep-alive", "nginx", 0.5)];
        let values = values.map(|(mode, server, ms)| (mode.to_owned(), server, ms));

        let svg = draw(&values).unwrap();

        for (length, colour) in
            [("480.0", COLOURS[0]), ("240.0", COLOURS[1]), ("120.0", COLOURS[1])]
        {
            let bar = format!("width=\"{length}\" height=\"12.0\" fill=\"{colour}\"");
            assert_eq!(svg.matches(&bar).count(), 1, "{bar}\n{svg}");
        }
        assert_eq!(svg.matches(">nginx</text>").count(), 1, "{svg}");
        assert_eq!(svg.matches("text-anchor=\"end\">new</text>").count(), 1, "{svg}");
        assert_eq!(draw(&[]), None);
    }
}
