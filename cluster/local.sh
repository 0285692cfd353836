#!/usr/bin/env bash
# Start a Ray head on this machine to which jobs are submitted: cluster/local.sh [flags of `ray start`]. Ctrl-C ends it.
# A submission needs the token: RAY_AUTH_MODE=token, and the same user or RAY_AUTH_TOKEN_PATH. With
# RAY_AUTH_MODE=disabled anyone who can reach the port can run code here.
set -euo pipefail
export RAY_AUTH_MODE=${RAY_AUTH_MODE:-token}
if [ "$RAY_AUTH_MODE" = token ] && [ -z "${RAY_AUTH_TOKEN:-}" ]; then
  export RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
  if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
    mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
    (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")
  fi
  echo "token: $RAY_AUTH_TOKEN_PATH"
fi
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH # used by `python` in the command line of a job
exec ray start --head --block --disable-usage-stats "$@"
