#!/usr/bin/env bash
# Makes an environment for the benchmark's contenders that cannot touch ours: it sees our packages
# behind its own, and our versions are constraints.
#
#     benchmarks/peers/install.sh [FOLDER]      # default /tmp/peers; about two minutes
#
# Debian's libraries (as root): OpenCV and libjpeg-turbo to compile FFCV, ffmpeg's for SPDL.
set -euo pipefail
cd "$(dirname "$0")/../.."
dest=${1:-/tmp/peers}
ours=$PWD/.venv

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y libopencv-dev libturbojpeg0-dev pkg-config \
    libavdevice59 libavfilter8 libavformat59 libavcodec59 libswscale6
fi

"$ours/bin/python" -m venv "$dest"
site=$("$dest/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$ours/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/glr.pth"
"$ours/bin/python" -m pip freeze --exclude-editable >"$dest/ours.txt"

pip() { "$dest/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --upgrade pip
get() { pip install -c "$dest/ours.txt" "$@" || echo "left out: $*" >&2; }
get py-spy
get spdl
get litdata
# Mosaic asks for older libraries than ours but runs with them: its own requirements are left aside.
get --no-deps mosaicml-streaming==0.13.0
get transformers boto3 zstandard zstd Brotli python-snappy xxhash catalogue
# FFCV is compiled here; it names no versions, numba is all it needs besides ours.
get numba setuptools wheel pybind11
get --no-deps --no-build-isolation ffcv
echo "$dest/bin/python"
