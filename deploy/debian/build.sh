#!/bin/bash
# build.sh [ARCHITECTURE...] builds bin/icebox_VERSION_ARCHITECTURE.deb for each architecture, by default amd64 and arm64. It
# needs Go and dpkg-deb but not root. The same commit gives the same bytes: every timestamp is that of the commit, and nothing
# depends on the host. `make deb` runs this script.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022
export LC_ALL=C TZ=UTC
[ $# -gt 0 ] || set -- amd64 arm64

# A tag v1.2.3 gives version 1.2.3. Later commits sort after it, and commits before the first tag sort before all versions.
described=$(git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || true)
commit=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
if [ -n "$described" ]; then
	version=$(sed 's/^v//; s/-/+/; s/-/./g' <<<"$described")
else
	version=0~git$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M).$commit
	git diff --quiet HEAD || version+=.dirty
fi
version=${VERSION:-$version}
maintainer=${MAINTAINER:-The icebox authors <icebox@users.noreply.github.com>}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ldflags="-s -w -X main.version=$version -X main.commit=$commit"

# The manual, the completions and the licences are the same for every architecture.
CGO_ENABLED=0 go build -tags docs -trimpath -buildvcs=false -o "$work/docs" ./cmd/icebox
"$work/docs" manual "$work/man"
rm "$work"/man/icebox-completion-*.8
for shell in bash zsh fish; do "$work/docs" completion $shell >"$work/completion.$shell"; done

# licences ARCHITECTURE prints the licence of every module in the binary.
licences() {
	CGO_ENABLED=0 GOARCH=$1 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/icebox | sort -u |
		while read -r module version dir; do
			echo "==== $module $version"
			find "$dir" -maxdepth 1 -type f \( -iname 'LICENSE*' -o -iname 'COPYING*' -o -iname 'NOTICE*' \) | sort | xargs cat
			echo
		done
	echo "==== the Go standard library and runtime"
	cat "$(go env GOROOT)/LICENSE"
}

# put MODE SOURCE TARGET adds a file to the package. putz SOURCE TARGET adds it compressed.
put() { install -D -m "$1" "$2" "$root/$3"; }
putz() { put 644 "$1" "$2" && gzip -9n "$root/$2"; }

# postinst sets the owner of the conffiles, because the group exists only on the host.
fill() {
	put 755 "$work/icebox" usr/bin/icebox
	put 644 deploy/systemd/icebox.service lib/systemd/system/icebox.service
	put 644 deploy/debian/sysusers.conf usr/lib/sysusers.d/icebox.conf
	put 640 deploy/icebox.yaml etc/icebox/icebox.yaml
	install -d -m 750 "$root/etc/icebox" "$root/etc/icebox/tls"
	put 755 deploy/debian/certbot-hook etc/letsencrypt/renewal-hooks/deploy/icebox
	put 644 "$work/completion.bash" usr/share/bash-completion/completions/icebox
	put 644 "$work/completion.zsh" usr/share/zsh/vendor-completions/_icebox
	put 644 "$work/completion.fish" usr/share/fish/vendor_completions.d/icebox.fish
	for page in "$work"/man/*.8; do putz "$page" "usr/share/man/man8/$(basename "$page")"; done
	local share=usr/share/doc/icebox
	put 644 deploy/debian/copyright $share/copyright
	put 644 deploy/icebox.yaml $share/examples/icebox.yaml
	put 644 deploy/nginx/icebox.conf $share/examples/nginx.conf
	put 644 deploy/nginx/icebox-stream.conf $share/examples/nginx-stream.conf
	put 644 deploy/prometheus/icebox.rules.yml $share/examples/icebox.rules.yml
	put 644 deploy/grafana/icebox.json $share/examples/grafana.json
	put 644 deploy/debian/lintian-overrides usr/share/lintian/overrides/icebox
	putz deploy/README.md $share/README.md
	putz deploy/clients.md $share/clients.md
	putz deploy/configuration.md $share/configuration.md
	licences "$1" >"$work/licences"
	putz "$work/licences" $share/third-party-licences
	printf 'icebox (%s) unstable; urgency=medium\n\n  * Built from commit %s.\n\n -- %s  %s\n' \
		"$version" "$commit" "$maintainer" "$(date -R -d "@$SOURCE_DATE_EPOCH")" >"$work/changelog"
	putz "$work/changelog" $share/changelog
}

control() {
	local size
	size=$(find "$root" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
	mkdir "$root/DEBIAN"
	sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$1/; s/@SIZE@/$size/; s/@MAINTAINER@/$maintainer/" deploy/debian/control >"$root/DEBIAN/control"
	(cd "$root" && find etc -type f | sort | sed 's|^|/|') >"$root/DEBIAN/conffiles"
	(cd "$root" && find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
	for script in postinst prerm postrm; do install -m 755 "deploy/debian/$script" "$root/DEBIAN/$script"; done
}

mkdir -p bin
for architecture in "$@"; do
	root=$work/$architecture
	CGO_ENABLED=0 GOOS=linux GOARCH=$architecture go build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$work/icebox" ./cmd/icebox
	fill "$architecture"
	control "$architecture"
	find "$root" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "bin/icebox_${version}_$architecture.deb"
done
