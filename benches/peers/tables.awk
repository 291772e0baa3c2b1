# Tables in Markdown of the figures that scripts/compare.sh records; json.awk describes their lines.

$1 == "about" { sub(/^about /, ""); if (!seen[$0]++) print; next }
!(($1, $2) in n) { if (!($1 in known)) { known[$1] = 1; order[++rows] = $1 } }
{ k = ++n[$1, $2]; for (i = 3; i <= NF; i++) v[$1, $2, i, k] = $i }
function median(one, side, column,    i, j, k, t, a) {
    k = n[one, side]
    for (i = 1; i <= k; i++) a[i] = v[one, side, column, i] + 0
    for (i = 2; i <= k; i++) for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
    return a[int((k + 1) / 2)]
}
function grouped(n,    text, out) {
    text = sprintf("%d", n)
    while (length(text) > 3) { out = "," substr(text, length(text) - 2) out; text = substr(text, 1, length(text) - 3) }
    return text out
}
function ms(us, side) {
    # TigerBeetle counts whole milliseconds.
    if (side == "tigerbeetle") return us < 1000 ? "<1" : sprintf("%d", us / 1000)
    return sprintf(us < 10000 ? "%.2f" : "%.1f", us / 1000)
}
function three(one, side, from) {
    if (!((one, side) in n)) return "–"
    return ms(median(one, side, from), side) " · " ms(median(one, side, from + 1), side) " · " \
        ms(median(one, side, from + 2), side)
}
function rate(one, side) { return (one, side) in n ? grouped(median(one, side, 3)) : "–" }
function refused(one, side) { return (one, side) in n ? median(one, side, 4) : "–" }
function ratio(one, side,    a, b) {
    a = (one, "ours") in n ? median(one, "ours", 3) : 0
    b = (one, side) in n ? median(one, side, 3) : 0
    return a && b ? sprintf(a < 10 * b ? "%.2f" : "%.1f", a / b) : "–"
}
END {
    split("ours redis postgres tigerbeetle", sides, " ")
    name["ours"] = "ours"; name["redis"] = "Redis"; name["postgres"] = "PostgreSQL"; name["tigerbeetle"] = "TigerBeetle"
    work["in-1"] = "1 client"; work["in-16"] = "16 clients"; work["in-64"] = "64 clients"
    work["in-64x16"] = "64 clients, 16 under way each"; work["in-batch"] = "64 clients, 128 under way each"
    work["hot"] = "16, one hot account"
    for (r = 1; r <= rows; r++) {
        one = order[r]
        if (one ~ /^in-/) continue
        if (!across++) {
            print "\n| clients | ours, a second | PostgreSQL, a second | ratio | ours: outcome, ms p50 · p99 · max | PostgreSQL: committed, ms p50 · p99 · max | PostgreSQL: both prepared, ms p50 · p99 · max | not committed, ours · theirs |"
            print "| --- | --- | --- | --- | --- | --- | --- | --- |"
        }
        printf "| %s | %s | %s | %s | %s | %s | %s | %s · %s |\n", one in work ? work[one] : one, rate(one, "ours"),
            rate(one, "postgres"), ratio(one, "postgres"), three(one, "ours", 5), three(one, "postgres", 5),
            three(one, "postgres", 8), refused(one, "ours"), refused(one, "postgres")
    }
    for (r = 1; r <= rows; r++) {
        one = order[r]
        if (one !~ /^in-/) continue
        if (!inside++) {
            print "\n| inside one bank or server | system | a second | ours to it | ms p50 · p99 · max | not committed |"
            print "| --- | --- | --- | --- | --- | --- |"
        }
        label = work[one]
        for (s = 1; s <= 4; s++) {
            side = sides[s]
            if (!((one, side) in n)) continue
            how = side == "tigerbeetle" ? (one == "in-batch" ? ", batches of 8,189" : ", batches of 1") : ""
            printf "| %s | %s | %s | %s | %s | %d |\n", label, name[side] how, rate(one, side),
                side == "ours" ? "" : ratio(one, side), three(one, side, 5), median(one, side, 4)
            label = ""
        }
    }
}
