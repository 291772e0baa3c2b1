//! Draws the shapes and texts of the picture, its axes and headings.

use super::*;

pub(super) fn time_axis(svg: &mut String, slices: &Slices, rows_end: u64) {
    let seconds = slices.length_us().div_ceil(SECOND_US);
    let step = step_for(seconds, 15);
    for second in (0..=seconds).step_by(usize::try_from(step).unwrap()) {
        if second * SECOND_US > slices.length_us() {
            break;
        }
        let x = slices.x(second * SECOND_US);
        for (from, to) in [
            (TOP + HEIGHT, TOP + HEIGHT + 5),
            (LOWER_TOP + HEIGHT, LOWER_TOP + HEIGHT + 5),
            (rows_end, rows_end + 6),
        ] {
            let _ = writeln!(
                svg,
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"{from}\" y2=\"{to}\" stroke=\"{GREY}\"/>"
            );
        }
        text(svg, (x, rows_end + 22), "middle", "black", &second.to_string());
    }
    text(
        svg,
        ((LEFT + RIGHT) / 2, rows_end + 46),
        "middle",
        GREY,
        "seconds since the first request",
    );
}

/// The title of a panel above its upper edge, with a legend of its lines.
pub(super) fn heading(svg: &mut String, top: u64, words: &str, legend: &[(&str, &str, bool)]) {
    let y = top - 12;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{y}\" font-size=\"15\" font-weight=\"bold\" \
         fill=\"black\">{words}</text>"
    );
    // Laid out from the right edge, with at most 7.5 pixels for a character.
    let mut x = RIGHT;
    for (name, colour, dashed) in legend.iter().rev() {
        let wide = 15 * u64::try_from(name.len()).unwrap() / 2;
        text(svg, (x, y), "end", colour, name);
        let dash = if *dashed { " stroke-dasharray=\"5 3\"" } else { "" };
        let _ = writeln!(
            svg,
            "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"{colour}\" \
             stroke-width=\"3\"{dash}/>",
            x - wide - 28,
            x - wide - 4,
            y - 4,
            y - 4
        );
        x -= wide + 48;
    }
}

/// A horizontal line across a panel, with its label.
pub(super) fn rule(svg: &mut String, y: u64, words: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{RULE}\"/>"
    );
    text(svg, (LEFT - 10, y + 5), "end", "black", words);
}

pub(super) fn text(svg: &mut String, (x, y): (u64, u64), anchor: &str, colour: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

pub(super) fn rect(
    svg: &mut String,
    (x, y): (u64, u64),
    (w, h): (u64, u64),
    colour: &str,
    opacity: &str,
    title: &str,
) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{colour}\" \
         opacity=\"{opacity}\">\
         <title>{title}</title></rect>"
    );
}

pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
