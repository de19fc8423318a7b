// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The behaviour of the keyring, as its callers see it.

mod collections;
mod files;
mod methods;
mod parsers;
mod passwords;
mod places;
mod published;
mod replay;
mod sealing;
mod typed;
mod vectors;
