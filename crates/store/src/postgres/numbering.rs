// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The sequencer's work in two round trips: the lock with what is queued, and what was folded with `COMMIT`.

use futures::future::join5;
use tokio_postgres::types::ToSql;

use super::PgTransaction;
use super::transaction::dynamic;
use crate::StoreError;
use crate::sequencer::Folded;
use crate::transaction::{Answer, Sql};

/// One numbers a tenant's records at a time, among all servers; free again when the transaction ends.
const LOCK: &str = "SELECT CAST(pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS int)";

const LEAVES: &str = "INSERT INTO leaf (number, record, hash)
                      SELECT * FROM unnest(CAST($1 AS bigint[]), CAST($2 AS bytea[]), CAST($3 AS bytea[]))";
const SUBTREES: &str = "INSERT INTO subtree (level, number, hash)
                        SELECT * FROM unnest(CAST($1 AS bigint[]), CAST($2 AS bigint[]), CAST($3 AS bytea[]))";
const DEQUEUE: &str = "DELETE FROM unnumbered WHERE record = ANY (CAST($1 AS bytea[]))";

impl PgTransaction {
    /// Takes the lock and then reads; `None` when another server has the lock.
    pub(crate) async fn begin_numbering(
        &mut self,
        reads: [Sql<'_>; 2],
    ) -> Result<Option<[Answer; 2]>, StoreError> {
        let tenant = self.tenant().uuid().to_string();
        let [first, second] = reads;
        // Statements see what was committed before each of them began: the reads follow the lock.
        let answers = self.run(&[(LOCK, crate::params![&tenant]), first, second]).await?;
        let Ok([lock, first, second]) = <[Answer; 3]>::try_from(answers) else {
            return Err(StoreError::Engine("a statement was not answered".into()));
        };
        let taken: Option<(i64,)> = lock.first()?;
        Ok((taken == Some((1,))).then_some([first, second]))
    }

    /// Stores what was folded and commits.
    pub(crate) async fn end_numbering(self, folded: &Folded, checkpoint: Sql<'_>) -> Result<(), StoreError> {
        {
            let client = self.client()?;
            let numbers: Vec<i64> = folded.leaves.iter().map(|leaf| leaf.number).collect();
            let records: Vec<&[u8]> =
                folded.leaves.iter().map(|leaf| leaf.record.as_bytes().as_slice()).collect();
            let hashes: Vec<&[u8]> = folded.leaves.iter().map(|leaf| leaf.hash.as_slice()).collect();
            let levels: Vec<i64> = folded.nodes.iter().map(|node| node.level).collect();
            let places: Vec<i64> = folded.nodes.iter().map(|node| node.number).collect();
            let roots: Vec<&[u8]> = folded.nodes.iter().map(|node| node.hash.as_slice()).collect();

            let leaves = self.prepare(LEAVES).await?;
            let subtrees = self.prepare(SUBTREES).await?;
            let dequeue = self.prepare(DEQUEUE).await?;
            let signed = self.prepare(checkpoint.0).await?;
            let leaf_params: [&(dyn ToSql + Sync); 3] = [&numbers, &records, &hashes];
            let node_params: [&(dyn ToSql + Sync); 3] = [&levels, &places, &roots];
            let queue_params: [&(dyn ToSql + Sync); 1] = [&records];
            let signed_params = dynamic(checkpoint.1);
            let ending = async {
                let (leaves, subtrees, dequeued, signed, committed) = join5(
                    client.execute(&leaves, &leaf_params),
                    async {
                        match folded.nodes.is_empty() {
                            true => Ok(0),
                            false => client.execute(&subtrees, &node_params).await,
                        }
                    },
                    client.execute(&dequeue, &queue_params),
                    client.execute(&signed, &signed_params),
                    client.batch_execute("COMMIT"),
                )
                .await;
                // After a failed statement COMMIT rolls back without an error: the statements decide.
                leaves.and(subtrees).and(dequeued).and(signed).and(committed)
            };
            self.first(client, ending).await?;
        }
        self.ended();
        Ok(())
    }
}
