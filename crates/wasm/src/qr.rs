// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QR codes, as the path of an SVG: a page that may run no foreign script draws them without any.

use std::fmt::Write as _;

use qrcode::{Color, QrCode};
use serde::Serialize;

use crate::failure::Failure;

/// A QR code.
#[derive(Serialize)]
pub(crate) struct Drawn {
    /// How many modules each side has, without the quiet zone.
    size: usize,
    /// The dark modules: one unit each, from 0,0.
    path: String,
}

/// Draws a text.
pub(crate) fn path(text: &str) -> Result<Drawn, Failure> {
    let code = QrCode::new(text).map_err(|error| Failure::failed("qr_code", error))?;
    let (size, mut path) = (code.width(), String::new());
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", at % size, at / size);
        }
    }
    Ok(Drawn { size, path })
}
