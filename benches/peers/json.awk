# All runs that scripts/compare.sh recorded, as JSON. The lines of a record are "about TEXT" and
# "ROW SIDE a-second not-committed p50 p99 max [p50 p99 max, until both were prepared]", times in microseconds.

function quoted(text) { gsub(/[\\"]/, "\\\\&", text); return "\"" text "\"" }
$1 == "about" { sub(/^about /, ""); if (!seen[$0]++) about = about (about ? ", " : "") quoted($0); next }
{
    run = sprintf("{\"row\": %s, \"side\": %s, \"per_s\": %d, \"not_committed\": %d, \"p50_us\": %d, \"p99_us\": %d, \"max_us\": %d",
        quoted($1), quoted($2), $3, $4, $5, $6, $7)
    if (NF > 9) run = run sprintf(", \"prepared_p50_us\": %d, \"prepared_p99_us\": %d, \"prepared_max_us\": %d", $8, $9, $10)
    runs = runs (runs ? ",\n    " : "") run "}"
}
END { printf "{\n  \"about\": [%s],\n  \"runs\": [\n    %s\n  ]\n}\n", about, runs }
