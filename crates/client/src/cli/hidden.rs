// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lines that the terminal does not show while they are typed.
//!
//! The terminal hides them before the question appears, so that nothing that is typed at once is seen, and shows what is typed
//! again whatever ends the question: [`show_again`] is for what ends the program.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Asks at the terminal, whatever standard input is.
pub(super) fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let _hidden = Hidden::begin(&terminal)?;
    (&terminal).write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(String::new());
    if BufReader::new(&terminal).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

/// Has the terminal show again what is typed, if it does not.
pub(super) fn show_again() {
    if let Some((terminal, before)) = before().take() {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
}

struct Hidden;

impl Hidden {
    fn begin(terminal: &File) -> io::Result<Hidden> {
        let as_it_was = tcgetattr(terminal)?;
        let mut hidden = as_it_was.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        *before() = Some((terminal.try_clone()?, as_it_was));
        // What was typed before the question is not its answer.
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Hidden)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        show_again();
    }
}

/// The terminal as it was before something was hidden on it.
fn before() -> MutexGuard<'static, Option<(File, Termios)>> {
    static BEFORE: Mutex<Option<(File, Termios)>> = Mutex::new(None);
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}
