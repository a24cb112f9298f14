#!/bin/sh
# Does something when kwsd hears "go", and ends it when it hears "stop".
#
#     kwsd --socket /tmp/kwsd.sock
#     sh examples/on_stop_go.sh /tmp/kwsd.sock
#
# kwsd watch runs this same script once for each word, one at a time, with KWSD_LABEL, KWSD_SCORE and KWSD_ID in its
# environment and the event as JSON on its standard input.

case "${KWSD_LABEL-}" in
go) echo "started ($KWSD_ID, score $KWSD_SCORE)" ;;   # your own action goes here
stop) echo "stopped ($KWSD_ID, score $KWSD_SCORE)" ;; # and here
*) exec kwsd watch --socket "${1:-/run/kwsd/kwsd.sock}" --only stop,go --exec "sh '$0'" ;;
esac
