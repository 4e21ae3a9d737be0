#!/usr/bin/env bash
# The whole test: sets up a bare Debian 12 that has Go and Node, runs the tests that want the machine to themselves, then
# browsers beside the other steps, and ends with the count. LONG=1 runs what takes too long for every day, and browsers strictly.
set -u
cd "$(dirname "$0")/../.."
top=$PWD
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export ICEBOX_BIN=$top/bin/icebox
began=$SECONDS

packages=(
	chromium chromium-headless-shell # the browsers
	coturn          # its clients, and the server that icebox replaces
	nginx libnginx-mod-stream # the shipped site, and the stream in front of it
	haproxy         # a proxy that speaks the PROXY protocol, both versions
	libnss3-tools   # certutil: an authority in Chromium's own store
	nftables iproute2 # namespaces with real NATs
	buildah podman  # the image
	systemd         # systemd-analyze
	prometheus      # promtool
	util-linux procps ca-certificates gcc libc6-dev make git
)

[ "${LONG:-}" != 1 ] || packages+=(
	debootstrap lintian # the package in a Debian of its own
	python3-aioice      # a client that never refreshes a permission
)

setup() {
	local missing=()
	for p in "${packages[@]}"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		echo "installing ${missing[*]}"
		if [ "$(id -u)" != 0 ]; then
			echo "only root can do that"
			return 1
		fi
		# The tests start what they need; Debian's packages would start coturn and Nginx here and now.
		local policy=/usr/sbin/policy-rc.d
		if [ ! -e "$policy" ]; then
			trap 'rm -f /usr/sbin/policy-rc.d' EXIT
			printf '#!/bin/sh\nexit 101\n' >"$policy"
			chmod 755 "$policy"
		fi
		apt-get update -q &&
			DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" || return 1
	fi
	(cd deploy/e2e && npm ci --no-audit --no-fund && mkdir -p ../../bin/e2e && go build -o ../../bin/e2e tool) && make build &&
		go mod download # the package's manual takes modules that the daemon doesn't, and is built where there is no network
}

# All that takes a compiler for minutes on a new machine: the tests beside it would wait for a processor, and some of them
# measure time.
compile() { make -s linter && go build -race ./... && (cd deploy/e2e && go build ./...); }

# Tests of minutes, which load both cores: floods, crowds and the soak.
long_tests='^(TestSoak|TestFlood|TestFloodOfOneAddress|TestCrowds|TestConnectionCaps|TestHalfOpenDTLS|TestStrangersThatDoNotRead)$'

# Calls of which a like one is in every day's test.
long_calls='^(TestCut|TestNoRelay|TestIPv6Only|TestOnlyTransport|TestOnePortBehindNginx)$'

# Clients that have to wait until a permission would have ended.
long_loopback='^(TestAioice)$'

# What takes minutes and Debian's mirror.
package_tests='^(TestPackageInFreshDebian|TestReproducible|TestLintian)$'

# step NAME COMMAND...: runs a step, keeps its output, says how it ended. Steps of one lane run one after the other.
step() {
	local name=$1 start=$SECONDS
	shift
	if timeout -k 10 "${STEP_TIMEOUT:-2400}" "$@" >"$logs/$name" 2>&1; then
		echo ok >"$logs/$name.end"
	else
		echo "exit code $?" >"$logs/$name.end"
	fi
	echo "$name: $(cat "$logs/$name.end"), $((SECONDS - start)) s"
}

# Who waits for a processor, or loses it to the machine's host, runs into limits of its own, so up to three tests of a step of real parts
# that fail are given a second try at the end, alone; the last lines say which. Where a step broke off there is none, for then tests
# have not run at all. second_try NAME FAILED COMMAND...: FAILED lists what failed by the log on its input, a line each, and COMMAND runs
# it, given as one pattern.
second_try() {
	local name=$1 failed
	[ "$(cat "$logs/$name.end" 2>/dev/null)" = "exit code 1" ] || return 0
	! grep -qE '^(panic:|fatal error:|signal:)|DATA RACE|\[(build|setup) failed\]' "$logs/$name" || return 0
	failed=$("$2" <"$logs/$name" | sort -u)
	[ -n "$failed" ] && [ "$(wc -l <<<"$failed")" -le 3 ] || return 0
	sed -E 's/^(\s*)--- FAIL/\1--- first try failed/; s/^(\s*)not ok/\1first try failed/; s/^(FAIL|# fail)/first try: \1/' "$logs/$name" >"$logs/$name.first"
	step "$name" "${@:3}" "$(paste -sd '|' <<<"$failed")"
	echo "$name: second try of ${failed//$'\n'/, }" >>"$logs/tried.again"
}
failed_go() { grep -oP '^--- FAIL: \K\S+'; }
failed_pages() { grep -A4 '^not ok' | grep -oP "location: '\K[^:']+"; }

# rootly NAME COMMAND...: a step that makes namespaces.
rootly() {
	if [ "$(id -u)" = 0 ]; then
		step "$@"
	else
		echo "not run: $1: it makes network namespaces, which takes root" | tee -a "$logs/left-out"
	fi
}

unformatted() { [ -z "$(git ls-files -z '*.go' | xargs -0 gofmt -l | tee /dev/stderr)" ]; }
e2e() { cd deploy/e2e && go test -v -count=1 -timeout 35m "$@"; }
# pages [FILE|FILE...]: those of every day, without arguments.
pages() {
	local files
	IFS='|' read -ra files <<<"${1:-$(echo deploy/e2e/pages/*.test.mjs | sed 's#deploy/e2e/##g; s/ /|/g')}"
	cd deploy/e2e && npx tsc --project pages/tsconfig.json && node --test --test-reporter=tap --test-concurrency=1 "${files[@]}"
}
calls() { e2e ./calls/ -parallel 2 -skip "$long_calls" -run "^(${1:-.*})\$"; } # two calls fit in two processors
clients() { e2e ./clients/ -run "^(${1:-.*})\$"; }
abuse() { e2e ./abuse/ -skip "$long_tests" -run "^(${1:-.*})\$"; }
loopback() { e2e ./loopback/ -parallel 30 -skip "$long_loopback" -run "^(${1:-.*})\$"; } # clients that wait
scripts() { node --test --test-reporter=tap signal/web/; }
export -f unformatted e2e calls clients abuse loopback pages scripts
export long_calls long_tests long_loopback

# One step of browsers at a time, and first where both lanes want a processor.
browser_lane() {
	rootly calls bash -c 'calls "$@"' calls
	rootly clients bash -c 'clients "$@"' clients
	step pages bash -c 'pages "$@"' pages
}

other_lane() {
	renice -n 10 "$BASHPID" >/dev/null
	step gofmt bash -c unformatted
	step tidy go mod tidy -diff
	step tidy-e2e bash -c 'cd deploy/e2e && go mod tidy -diff'
	step vet go vet -tags docs ./cmd/icebox # what the lint, which vets everything else, doesn't see
	step portable bash -c 'GOOS=darwin go build ./turnserver/... ./signal/... ./config/ ./cmd/icebox/... && GOOS=windows go build ./turnserver/... ./signal/... ./config/'
	step lint make lint
	step scripts bash -c scripts
	rootly shipped bash -c "e2e ./shipped/ -skip '$package_tests'"
}

long_lane() {
	STEP_TIMEOUT=3600 step abuse bash -c 'cd deploy/e2e && go test -v -count=1 -timeout 60m ./abuse/'
	step loopback bash -c 'e2e ./loopback/ -run "$long_loopback"'
	export E2E_STRICT=1 PAGES_SHOTS=$logs/shots
	long_calls='^$' rootly calls bash -c 'calls "$@"' calls
	step pages bash -c 'pages pages/'
	export E2E_DEBIAN=$logs/debian
	rootly debootstrap debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,procps,nftables,coturn bookworm "$E2E_DEBIAN"
	STEP_TIMEOUT=3600 rootly package bash -c "e2e -timeout 50m ./shipped/ -run '$package_tests'"
	STEP_TIMEOUT=7200 step fuzz deploy/e2e/fuzz.sh "${FUZZTIME:-10m}"
}

# count PATTERN: how many lines of all logs match.
count() { cat "$logs"/* | grep -cE "$1"; }

step setup bash -c "$(declare -p packages); $(declare -f setup); setup"
if [ "$(cat "$logs/setup.end")" = ok ]; then
	if [ "${LONG:-}" = 1 ]; then
		long_lane
	else
		step compile bash -c "$(declare -f compile); compile"
		step race go test -race -v -timeout 35m ./... # alone: crowds of thousands are in it, and browsers are heavy
		step abuse bash -c 'abuse "$@"' abuse # alone, too: it measures what others notice of an attack
		step loopback bash -c 'loopback "$@"' loopback
		rootly netlab bash -c 'e2e ./netlab/'
		browser_lane &
		other_lane &
		wait
		second_try abuse failed_go bash -c 'abuse "$@"' abuse
		second_try loopback failed_go bash -c 'loopback "$@"' loopback
		second_try calls failed_go bash -c 'calls "$@"' calls
		second_try clients failed_go bash -c 'clients "$@"' clients
		second_try pages failed_pages bash -c 'pages "$@"' pages
	fi
fi

failed_steps=0
for end in "$logs"/*.end; do
	name=$(basename "$end" .end)
	[ "$(cat "$end")" = ok ] && continue
	failed_steps=$((failed_steps + 1))
	echo
	echo "==== $name: $(cat "$end")"
	{ grep -nE -B8 -A12 '^\s*--- FAIL|^(not ok|panic:|FAIL)|DATA RACE' "$logs/$name" | head -n 120; echo "----"; tail -n 60 "$logs/$name"; }
done
passed=$(count '^[[:space:]]*--- PASS|^[[:space:]]*ok [0-9]+ ')
failed=$(count '^[[:space:]]*--- FAIL|^[[:space:]]*not ok [0-9]+ ')
[ "$failed" -ge "$failed_steps" ] || failed=$failed_steps
skipped=$(($(count '^[[:space:]]*--- SKIP|^[[:space:]]*ok [0-9]+ .* # SKIP') + $(cat "$logs/left-out" 2>/dev/null | wc -l)))
echo
grep -hE -A3 '^[[:space:]]*--- SKIP' "$logs"/* | sed 's/^/left out: /'
[ "${LONG:-}" = 1 ] || echo "left to make test-long: ${long_tests//[\^()$]/}|${long_calls//[\^()$]/}|${long_loopback//[\^()$]/}, pages/long and the fuzz targets"
cat "$logs/tried.again" 2>/dev/null
echo "took $((SECONDS - began)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
