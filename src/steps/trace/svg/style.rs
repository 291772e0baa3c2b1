//! The colours of a drawing: the class of each element, and the style sheet.

use super::super::timeline::{LegKind, TracedEvent};
use super::Embedding;
use crate::line::Step;

pub(super) fn leg_class(kind: LegKind) -> &'static str {
    match kind {
        LegKind::Network => "leg-network",
        LegKind::Queue => "leg-queue",
        LegKind::Batch => "leg-batch",
        LegKind::Sync => "leg-sync",
        LegKind::Release | LegKind::Bank => "leg-bank",
        LegKind::Driver => "leg-driver",
        LegKind::Wait => "leg-wait",
    }
}

/// The colour of a reply or an outcome that begins with this word.
pub(super) fn tone_of(word: &str) -> &'static str {
    match word {
        "OK" | "COMMITTED" => "ok",
        "NOK" | "ABORTED" | "ERR" | "REFUSED" => "bad",
        "DOUBT" => "open",
        _ => "quiet",
    }
}

pub(super) fn head_of(class: &str) -> &'static str {
    match class {
        "ok" => "head-ok",
        "bad" => "head-bad",
        "open" => "head-open",
        "quiet" => "head-quiet",
        _ => "head-ask",
    }
}

/// The colour of an event of a node.
pub(super) fn tone_of_event(event: &TracedEvent) -> &'static str {
    match &event.step {
        Some(Step::Vote { refusal: None, .. }) => "ok",
        Some(Step::Vote { .. }) => "bad",
        Some(
            Step::Outcome { ending, .. }
            | Step::Verdict { ending, .. }
            | Step::Drove { ending, .. },
        ) => tone_of(ending.words().0),
        Some(Step::Refuse { .. } | Step::Answer { .. } | Step::LinkDown(..) | Step::Fault(_)) => {
            "bad"
        }
        Some(
            Step::Doubt(..) | Step::Timeout(..) | Step::GaveUp(_) | Step::Start(_) | Step::Stop(_),
        ) => "open",
        Some(Step::Drive(_)) => "ask",
        _ => "quiet",
    }
}

/// Markers: the heads of arrows.
pub(super) const MARKERS: &str = "<defs>\
<marker id=\"head-ask\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-ask\"/></marker>\
<marker id=\"head-ok\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-ok\"/></marker>\
<marker id=\"head-bad\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-bad\"/></marker>\
<marker id=\"head-open\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-open\"/></marker>\
<marker id=\"head-quiet\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-quiet\"/></marker>\
</defs>\n";

/// The colours: name, light, dark, and as the page has it.
const COLOURS: [(&str, &str, &str, &str); 8] = [
    ("INK", "#1f2933", "#e6ebef", "currentColor"),
    ("PAPER", "#ffffff", "#1a2225", "var(--trace-paper, Canvas)"),
    ("OK", "#15803d", "#4ade80", "var(--trace-ok, #15803d)"),
    ("BAD", "#c2251d", "#f87171", "var(--trace-bad, #c2251d)"),
    ("OPEN", "#b45309", "#fbbf24", "var(--trace-open, #b45309)"),
    ("ASK", "#1d4ed8", "#7db0ff", "var(--trace-ask, #1d4ed8)"),
    ("SYNC", "#7c3aed", "#b794f6", "var(--trace-sync, #7c3aed)"),
    ("QUIET", "#5b6673", "#98a4b0", "var(--trace-quiet, #5b6673)"),
];

/// The style sheet, with the colours of this embedding.
pub(super) fn style(embedding: Embedding) -> String {
    let coloured =
        |colour: fn(&(&str, &'static str, &'static str, &'static str)) -> &'static str| {
            COLOURS.iter().fold(PAINT.to_owned(), |style, known| {
                style.replace(&format!("[{}]", known.0), colour(known))
            })
        };
    match embedding {
        Embedding::Page => format!("{SHAPES}{}", coloured(|known| known.3)),
        // Written out twice: viewers outside of browsers know no variables.
        Embedding::File | Embedding::Image => format!(
            "{SHAPES}{}@media (prefers-color-scheme:dark){{{}}}",
            coloured(|known| known.1),
            coloured(|known| known.2)
        ),
    }
}

/// Sizes and shapes, and which words are shown at which width.
const SHAPES: &str = "\
.trace text{font:12px ui-sans-serif,system-ui,'Segoe UI','DejaVu Sans',sans-serif}\
.trace .title{font-size:17px;font-weight:700}\
.trace .verdict{font-size:13px;font-weight:600}\
.trace .time{text-anchor:end;font-size:11px;font-variant-numeric:tabular-nums}\
.trace .name{text-anchor:middle;font-weight:700}\
.trace .head{stroke-width:1.5}\
.trace .unknown{stroke-dasharray:4 3}\
.trace .arrow{fill:none;stroke-width:1.3}\
.trace .unsure{stroke-dasharray:4 3}\
.trace .unending{stroke-dasharray:3 3}\
.trace .narrow{display:none}\
@media (max-width:640px){.trace text{font-size:11px}.trace .title{font-size:13px}\
.trace .narrow{display:inline}.trace .wide{display:none}}";

const PAINT: &str = "\
.trace{background:[PAPER]}.trace text{fill:[INK]}.trace .paper{fill:[PAPER]}\
.trace text.quiet,.trace .time{fill:[QUIET]}\
.trace text.note,.trace text.open{fill:[OPEN]}\
.trace text.ok{fill:[OK]}.trace text.bad{fill:[BAD]}.trace text.ask{fill:[ASK]}\
.trace .lane{stroke:[QUIET];stroke-opacity:.45}\
.trace .head{fill:[PAPER]}\
.trace .head.bank{stroke:[SYNC]}.trace .head.client{stroke:[ASK]}\
.trace .head.unknown{stroke:[QUIET]}\
.trace .gap{fill:[QUIET];fill-opacity:.1}\
.trace .arrow.ask{stroke:[ASK]}.trace .arrow.ok{stroke:[OK]}.trace .arrow.bad{stroke:[BAD]}\
.trace .arrow.open{stroke:[OPEN]}.trace .arrow.quiet{stroke:[QUIET]}\
.trace .fill-ask{fill:[ASK]}.trace .fill-ok{fill:[OK]}.trace .fill-bad{fill:[BAD]}\
.trace .fill-open{fill:[OPEN]}.trace .fill-quiet{fill:[QUIET]}\
.trace .dot{stroke:[PAPER];stroke-width:1.5}\
.trace .dot.ok{fill:[OK]}.trace .dot.bad{fill:[BAD]}\
.trace .dot.open{fill:[OPEN]}.trace .dot.ask{fill:[ASK]}.trace .dot.quiet{fill:[QUIET]}\
.trace .drive{fill:[ASK];fill-opacity:.3}\
.trace .hold{fill:[OK];fill-opacity:.2}\
.trace .doubt{fill:[OPEN];fill-opacity:.35}\
.trace .queue{fill:[QUIET]}\
.trace .batch{fill:[SYNC];fill-opacity:.3}\
.trace .sync{fill:[SYNC]}\
.trace .unending{stroke:[OPEN]}\
.trace .leg{stroke:[PAPER];stroke-width:1}\
.trace .leg-network{fill:[ASK]}.trace .leg-queue{fill:[QUIET]}\
.trace .leg-batch{fill:[SYNC];fill-opacity:.55}\
.trace .leg-sync{fill:[SYNC]}.trace .leg-bank{fill:[OK]}\
.trace .leg-driver{fill:[INK];fill-opacity:.6}.trace .leg-wait{fill:[OPEN]}";
