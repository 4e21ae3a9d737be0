#!/usr/bin/env bash
# test.sh runs each test once and ends with the failed tests and the count. It first installs what a bare Debian 12 with Go
# and Node lacks. With LONG=1 it runs the tests that take too long for every day instead.
set -u
[ "$(id -u)" = 0 ] || { echo "test.sh installs packages and makes network namespaces: run it as root, or run go test ./..." >&2; exit 1; }
cd "$(dirname "$0")/../.."
export ICEBOX_BIN=$PWD/bin/icebox
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

packages=(
	chromium chromium-headless-shell # the browsers
	coturn          # its clients test icebox; its server is compared with icebox
	nginx libnginx-mod-stream # runs the sites that we ship
	haproxy         # a proxy that speaks the PROXY protocol, both versions
	libnss3-tools   # certutil adds a certificate authority to Chromium's store
	nftables iproute2 # network namespaces with real NATs
	buildah podman  # build and run the image
	systemd         # systemd-analyze checks the unit
	prometheus      # promtool checks the rules
	util-linux procps ca-certificates gcc libc6-dev make git
)

[ "${LONG:-}" != 1 ] || packages+=(
	debootstrap lintian # test the package in a fresh Debian
	python3-aioice      # a client that never refreshes a permission
)

# Tests that take minutes and load both cores: floods, crowds and the soak.
long_tests='^(TestSoak|TestFlood|TestFloodOfOneAddress|TestCrowds|TestConnectionCaps|TestHalfOpenDTLS|TestStrangersThatDoNotRead)$'

# Calls that resemble one that make test runs.
long_calls='^(TestCut|TestNoRelay|TestIPv6Only|TestOnlyTransport|TestOnePortBehindNginx)$'

# Clients that have to wait until a permission would have ended.
long_loopback='^(TestAioice)$'

# Tests of the package that take minutes and need Debian's mirror.
package_tests='^(TestPackageInFreshDebian|TestReproducible|TestLintian)$'

# Tests that fail now and then, as "directory name reason". Only LONG=1 runs them. A name is skipped in every package.
quarantine=(
)

quarantined=$(for entry in "${quarantine[@]}"; do cut -d ' ' -f 2 <<<"$entry"; done | paste -sd '|')
quarantined="^(${quarantined:-none})\$"
too_long="$long_tests|$long_calls|$long_loopback|$package_tests"
left_out="$too_long|$quarantined"

# step NAME COMMAND... runs a command, keeps its output and reports how it ended.
step() {
	local start=$SECONDS end=ok
	("${@:2}") >"$logs/$1" 2>&1 || end="exit code $?"
	echo "$end" >"$logs/$1.end"
	echo "$1: $end, $((SECONDS - start)) s"
}

setup() {
	local missing=() policy=/usr/sbin/policy-rc.d
	for p in "${packages[@]}"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		echo "installing ${missing[*]}"
		# Debian's packages would start coturn and Nginx now; the tests start what they need themselves.
		if [ ! -e "$policy" ]; then
			trap "rm -f $policy" EXIT
			printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || return 1
		fi
		apt-get update -q &&
			DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" || return 1
	fi
	# The build of the package's manual has no network and imports modules that the daemon does not: download them all.
	make build && go mod download &&
		cd deploy/e2e && npm ci --no-audit --no-fund && mkdir -p ../../bin/e2e && go build -o ../../bin/e2e tool
}

# compile fills the build cache. Some tests measure time, and a compiler beside them would take their processor.
compile() { make -s linter && go build -race ./... && cd deploy/e2e && go build ./...; }

gofmt_all() { [ -z "$(git ls-files -z '*.go' | xargs -0 gofmt -l | tee /dev/stderr)" ]; }
portable() {
	GOOS=darwin go build ./turnserver/... ./signal/... ./config/ ./cmd/icebox/... &&
		GOOS=windows go build ./turnserver/... ./signal/... ./config/
}
e2e() { cd deploy/e2e && go test -v -count=1 -skip "$left_out" "./$1/" "${@:2}"; }
# node_test ends each file of tests after 10 minutes, as go test ends each package.
node_test() { node --test --test-reporter=tap --test-timeout=600000 "$@"; }
pages() { # the arguments may be patterns of files in deploy/e2e
	cd deploy/e2e && npx tsc --project pages/tsconfig.json && node_test --test-concurrency=1 $@
}

every_day() {
	step compile compile
	# These steps run alone: they start thousands of clients or measure what other clients notice of an attack.
	step race go test -race -v -skip "$quarantined" ./...
	step abuse e2e abuse
	step loopback e2e loopback -parallel 30 # its clients mostly wait
	step netlab e2e netlab
	{
		step calls e2e calls -parallel 2 # two calls keep two processors busy
		step clients e2e clients
		step pages pages 'pages/*.test.mjs'
	} &
	{
		renice -n 10 "$BASHPID" >/dev/null # the browsers are the longer half, and go first
		step gofmt gofmt_all
		step tidy go mod tidy -diff
		step tidy-e2e go -C deploy/e2e mod tidy -diff
		step vet go vet -tags docs ./cmd/icebox # make lint vets the rest
		step portable portable
		step lint make lint
		step scripts node_test signal/web/
		step shipped e2e shipped
	} &
	wait
}

long() {
	left_out='^$'
	export E2E_STRICT=1 PAGES_SHOTS=$logs/shots E2E_DEBIAN=$logs/debian
	step abuse e2e abuse -timeout 60m
	step loopback e2e loopback -run "$long_loopback"
	step calls e2e calls -parallel 2 -timeout 60m
	step pages pages pages/
	step debootstrap debootstrap --variant=minbase \
		--include=systemd,systemd-sysv,dbus,iproute2,procps,nftables,coturn bookworm "$E2E_DEBIAN"
	step package e2e shipped -timeout 50m -run "$package_tests"
	for entry in "${quarantine[@]}"; do
		read -r dir name reason <<<"$entry"
		step "quarantined-$name" go -C "$dir" test -race -v -count=1 -run "^$name\$" .
	done
	step fuzz deploy/e2e/fuzz.sh "${FUZZTIME:-10m}"
}

# failures LOG prints each failed test after its own output, and the start of each panic and failed build.
failures() {
	awk '
		function show(name) { printf "%s", substr(out[name], length(out[name]) - 8000); delete out[name] }
		/^=== [A-Z]+ / { test = $3; more = 0; next }
		/^ *--- (PASS|SKIP): / { delete out[$3]; next }
		/^ *ok [0-9]+ / { delete out[test]; next }
		/^ *--- FAIL: / { show($3); print $0 "\n"; next }
		/^FAIL\t/ { show(test); print; next }
		/^ *not ok / { show(test); tap = 1 }
		tap { print; tap = !/^ *\.\.\.$/; next }
		/^(panic:|fatal error:|# icebox)/ { more = 40 }
		more-- > 0 { print; next }
		{ out[test] = out[test] $0 "\n" }' "$1"
}

# count PATTERN prints how many lines of all logs match.
count() { cat "$logs"/* 2>/dev/null | grep -cE "^[[:space:]]*($1)"; }

step setup setup
if [ "$(cat "$logs/setup.end")" = ok ]; then
	if [ "${LONG:-}" = 1 ]; then long; else every_day; fi
fi

broken=0
for end in "$logs"/*.end; do
	name=$(basename "$end" .end)
	[ "$(cat "$end")" = ok ] && continue
	broken=$((broken + 1))
	printf '\n==== %s: %s\n' "$name" "$(cat "$end")"
	found=$(failures "$logs/$name")
	echo "${found:-$(tail -n 60 "$logs/$name")}"
done
echo
grep -hsE -B2 '^[[:space:]]*--- SKIP' "$logs"/*
if [ "${LONG:-}" != 1 ]; then
	echo "left to make test-long: ${too_long//[\^()$]/}, pages/long, the fuzz targets"
	[ ${#quarantine[@]} = 0 ] || printf 'left to make test-long, in quarantine: %s\n' "${quarantine[@]}"
fi
passed=$(count '--- PASS|ok [0-9]+ ') failed=$(count '--- FAIL|not ok [0-9]+ ') skipped=$(count '--- SKIP|ok [0-9]+ .* # SKIP')
[ "$failed" -ge "$broken" ] || failed=$broken
echo "took $SECONDS s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
