// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An account's place in the directory: 'founding', then 'live', then 'deleting', then 'deleted'.

use keyring::{AccountNumber, SystemRng};
use store::{StoreError, TenantId, WriteTx, params};

use crate::AccountId;
use crate::failure::Failure;
use crate::imported;
use crate::signup::SignupError;

/// Turns a founding account into a live one. Says whether it is live now.
pub(crate) async fn make_live(tx: &mut WriteTx, account: AccountId) -> Result<bool, Failure> {
    let now = tx.now();
    tx.execute(
        "UPDATE account_directory SET state = 'live', changed_at = $1 WHERE account = $2 AND state = 'founding'",
        params![now, account.uuid()],
    )
    .await?;
    // Without OPAQUE's record the row only holds the address.
    tx.execute(
        "UPDATE password_login SET state = CASE WHEN opaque_record = $1 THEN 'none' ELSE 'live' END, changed_at = $2
         WHERE account = $3 AND state = 'pending'",
        params![&Vec::new(), now, account.uuid()],
    )
    .await?;
    // In the transaction that makes the password live, the hash that it replaces goes.
    imported::forget_hash(tx, account).await?;
    let state: Option<(String,)> = tx
        .query_opt("SELECT state FROM account_directory WHERE account = $1", params![account.uuid()])
        .await?;
    Ok(state.is_some_and(|(state,)| state == "live"))
}

/// Takes an account number that is free, or finds the one that the same sign-up took before. Whoever was imported brings a
/// number along.
pub(crate) async fn reserve_number(
    tx: &mut WriteTx,
    account: AccountId,
    home: TenantId,
    mut imported: Option<AccountNumber>,
) -> Result<AccountNumber, SignupError> {
    let now = tx.now();
    for _ in 0..NUMBER_TRIES {
        let number = match imported.take() {
            Some(number) => number,
            None => {
                let number = AccountNumber::generate(&mut SystemRng);
                if imported::is_kept(tx, &number).await? {
                    continue;
                }
                number
            }
        };
        let inserted = tx
            .execute(
                "INSERT INTO account_directory (account, home, account_number, state, created_at, changed_at)
                 VALUES ($1, $2, $3, 'founding', $4, $5)
                 ON CONFLICT DO NOTHING",
                params![account.uuid(), home.uuid(), number.as_str(), now, now],
            )
            .await?;
        if inserted == 1 {
            return Ok(number);
        }
        let before: Option<(String, String)> = tx
            .query_opt(
                "SELECT account_number, state FROM account_directory WHERE account = $1",
                params![account.uuid()],
            )
            .await?;
        match before {
            Some((number, state)) if state == "founding" => {
                return AccountNumber::parse(&number).map_err(|_| Failure::Damaged("account number").into());
            }
            Some(_) => return Err(SignupError::Restart),
            // The number was somebody else's.
            None => {}
        }
    }
    Err(StoreError::Conflict("no account number is free".into()).into())
}

const NUMBER_TRIES: usize = 16;
