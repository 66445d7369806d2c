#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: the AWS clients and the linters, pinned, into .tools/ of the
# repository, and the language runtimes by apt where we are root on Debian. It never fails for what a test can do without:
# it says in one line what is missing, how to get it and what is skipped. Running it again costs nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
mkdir -p "$tools/bin" "$tools/log"

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# installed FILE STAMP: the folder of FILE was installed from what STAMP is made of.
fresh() { [ -f "$tools/$1.stamp" ] && [ "$(cat "$tools/$1.stamp")" = "$2" ]; }
done_with() { printf %s "$2" >"$tools/$1.stamp"; }
hash_of() { cat "$@" | cksum; }

# System packages, all at once.
want=()
python_works() { have python3 && python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
node_works() { have node && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 18 ]; }
python_works || want+=(python3)
if ! fresh py "$(hash_of test/clients/requirements.txt)" && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
	want+=(python3-venv)
fi
node_works || want+=(nodejs)
have npm || want+=(npm)
have javac || want+=(default-jdk-headless)
if [ ${#want[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && have apt-get; then
		say "apt-get install ${want[*]}"
		export DEBIAN_FRONTEND=noninteractive
		if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${want[@]}"; } >"$tools/log/apt" 2>&1; then
			say "apt-get failed, see .tools/log/apt; the tests that need ${want[*]} are skipped"
		fi
	else
		say "missing: ${want[*]}. Install them (on Debian: sudo apt-get install ${want[*]}), or the tests that need them are skipped"
	fi
fi

# The AWS CLI and boto3.
stamp=$(hash_of test/clients/requirements.txt)
if ! fresh py "$stamp"; then
	rm -rf "$tools/py"
	if ! python_works; then
		say "no python3 of 3.10 or later: the AWS CLI and boto3 tests are skipped"
	elif python3 -m venv "$tools/py" >"$tools/log/pip" 2>&1 &&
		"$tools/py/bin/python" -m pip install --disable-pip-version-check -q -r test/clients/requirements.txt >>"$tools/log/pip" 2>&1; then
		done_with py "$stamp"
		say "installed $("$tools/py/bin/aws" --version 2>&1)"
	else
		say "the AWS CLI and boto3 could not be installed, see .tools/log/pip: their tests are skipped"
	fi
fi

# AWS's runtime interface client, for a container image. It is taken as it is built: what builds it is not wanted here.
stamp=$(hash_of test/clients/ric.txt)
if ! fresh ric "$stamp" && [ -x "$tools/py/bin/python" ]; then
	rm -rf "$tools/ric"
	if "$tools/py/bin/python" -m pip install --disable-pip-version-check -q --only-binary :all: --target "$tools/ric" \
		-r test/clients/ric.txt >"$tools/log/ric" 2>&1; then
		done_with ric "$stamp"
		say "installed AWS's runtime interface client for Python"
	else
		rm -rf "$tools/ric"
		say "AWS's runtime interface client could not be installed, see .tools/log/ric: its test is skipped"
	fi
fi

# The SDK for JavaScript.
stamp=$(hash_of test/clients/package.json test/clients/package-lock.json)
if ! fresh js "$stamp"; then
	rm -rf "$tools/js" && mkdir -p "$tools/js"
	cp test/clients/package.json test/clients/package-lock.json "$tools/js/"
	if ! node_works || ! have npm; then
		say "no Node.js of 18 or later with npm: the JavaScript SDK tests are skipped"
	elif (cd "$tools/js" && npm ci --no-audit --no-fund) >"$tools/log/npm" 2>&1; then
		done_with js "$stamp"
		say "installed the AWS SDK for JavaScript $(node -p "require('$tools/js/node_modules/@aws-sdk/client-lambda/package.json').version")"
	else
		say "the AWS SDK for JavaScript could not be installed, see .tools/log/npm: its tests are skipped"
	fi
fi

# The linters, built by the Go that builds Enfold.
linters="mvdan.cc/gofumpt@v0.11.0 honnef.co/go/tools/cmd/staticcheck@v0.8.2 github.com/polyfloyd/go-errorlint@v1.8.0 mvdan.cc/unparam@v0.0.0-20251027182757-5beb8c8f8f15"
stamp="$linters $(go version)"
if [ "${1:-}" = lint ] && ! fresh lint "$stamp"; then
	ok=yes
	for l in $linters; do
		GOFLAGS=-mod=mod GOBIN=$tools/bin go install "$l" >>"$tools/log/go" 2>&1 || { ok=no; say "$l could not be built, see .tools/log/go"; }
	done
	[ $ok = yes ] && done_with lint "$stamp" && say "installed the linters"
fi
exit 0
