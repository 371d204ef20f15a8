//! System calls that std lacks. Unsafe lives here and in `ffi`, one operation a block.
