"""The microphone: PortAudio in a process that can be thrown away, and a source that outlives its device."""
