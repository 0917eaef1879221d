#!/bin/sh
# wget -q -O - URL
for url; do :; done
exec python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url"
