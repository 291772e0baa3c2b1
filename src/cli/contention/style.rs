//! The style sheet of the page of a run: light or dark as the reader prefers, from a telephone's
//! 390 pixels up. The pictures of transactions take their colours from its `--trace-` variables.

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2933;--paper:#fff;--quiet:#5b6673;--line:#dfe3e6;\
--trace-ok:#15803d;--trace-bad:#c2251d;--trace-open:#b45309;--trace-ask:#1d4ed8;\
--trace-sync:#7c3aed;--trace-quiet:#5b6673;--trace-paper:#fff}\
@media (prefers-color-scheme:dark){:root{--ink:#e6ebef;--paper:#1a2225;--quiet:#98a4b0;\
--line:#33404a;--trace-ok:#4ade80;--trace-bad:#f87171;--trace-open:#fbbf24;--trace-ask:#7db0ff;\
--trace-sync:#b794f6;--trace-quiet:#98a4b0;--trace-paper:#1a2225}}\
body{max-width:980px;margin:0 auto;padding:12px;background:var(--paper);color:var(--ink);\
font:15px/1.45 system-ui,'Segoe UI','DejaVu Sans',sans-serif}\
h1{font-size:22px}h2{font-size:17px;margin:26px 0 6px}\
ul{list-style:none;padding:0}.verdict{font-size:17px;font-weight:650}\
.good{color:var(--trace-ok)}.bad{color:var(--trace-bad)}.open{color:var(--trace-open)}\
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:8px 18px}\
dl div{border-top:1px solid var(--line)}dt{color:var(--quiet);font-size:13px}\
dd{margin:0;overflow-wrap:anywhere}\
.chart{display:grid;grid-template-columns:52px 1fr;margin:8px 0}\
.chart svg{width:100%;height:190px;overflow:visible}.axis{position:relative;height:190px}\
.axis span{position:absolute;right:6px;transform:translateY(-50%);font-size:12px;\
color:var(--quiet);white-space:nowrap}\
.times{grid-column:2;display:flex;justify-content:space-between;font-size:12px;\
color:var(--quiet)}\
.chart path,.chart line{vector-effect:non-scaling-stroke}.rule{stroke:var(--line)}\
.area{fill:var(--trace-ok);fill-opacity:.75}.line{fill:none;stroke-width:1.6}\
.line.bad{stroke:var(--trace-bad)}.line.ask{stroke:var(--trace-ask)}\
.line.sync{stroke:var(--trace-sync)}.line.max{stroke:var(--trace-open)}\
.band{fill:var(--trace-bad);fill-opacity:.22}.band.client{fill:var(--quiet)}\
.legend{margin:0;font-size:13px;color:var(--quiet)}\
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 5px 0 8px}\
i.ok{background:var(--trace-ok)}i.bad{background:var(--trace-bad)}\
i.ask{background:var(--trace-ask)}\
i.sync{background:var(--trace-sync)}i.max{background:var(--trace-open)}\
i.down{background:var(--trace-bad);opacity:.3}\
.scroll{overflow-x:auto;max-height:320px;overflow-y:auto}\
table{border-collapse:collapse}td,th{text-align:left;padding:2px 18px 2px 0;font-size:14px}\
.bars{display:grid;grid-template-columns:max-content 1fr max-content;gap:4px 10px;\
align-items:center;font-size:14px}.bars svg{width:100%}.bars rect{fill:var(--trace-bad)}\
section{border:1px solid var(--line);border-radius:8px;margin:12px 0;overflow:hidden}";
