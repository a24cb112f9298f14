"""The microphone: PortAudio in a disposable process, and a source that outlives its device."""
