import { writeSnapshot } from 'heapdump-rs/promises';

export const dynamic = 'force-dynamic';

export async function POST() {
  const { path, mode } = await writeSnapshot(`${process.env.DUMPS}/route.heapsnapshot`);
  return Response.json({ path, mode });
}
