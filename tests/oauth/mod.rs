// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Applications that get tokens, as their client libraries, their users and thieves see it.

mod app;
mod attacks;
mod dpop;
mod ends;
mod flows;
mod followers;
mod key;
mod nginx;
mod plain_passwords;
mod programs;
mod proxies;
mod service;
mod sign_outs;
mod standard_client;
