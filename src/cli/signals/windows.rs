/// What SIGINT is elsewhere.
const INTERRUPTED: i32 = 2;

/// Has Ctrl-C, Ctrl-Break, a closed console and the end of the session do this.
pub fn when_ended(end: fn(i32)) {
    // Without it the program still ends, and leaves what is under way, which the next run removes.
    let _ = ctrlc::set_handler(move || end(INTERRUPTED));
}
