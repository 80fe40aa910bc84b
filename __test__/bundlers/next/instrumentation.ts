export async function register() {
  if (process.env.NEXT_RUNTIME !== 'nodejs') return;
  const { monitor } = await import('heapdump-rs/monitor');
  monitor({ rss: '1MB', interval: '20ms', dir: process.env.DUMPS! }).on('snapshot', ({ report }) => {
    console.log(`monitor: ${report.mode} ${report.path}`);
  });
}
