// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What this room promises, on both engines.

mod attacks;
mod issuing;
mod rotation;
mod world;
