# Certificates are read again without cutting off what is in progress, however long that takes; at a stop it is cut off.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Clients;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

BEGIN { need('curl') }
my $tmp = tempdir();
my ($cert, $key) = make_certificate($tmp, 'site', 1001);
my $port     = free_port();
my $registry = Registry->start(listen => [ '--listen', '127.0.0.1', '--port', 0, '--tls-port', $port ], listeners => 2,
    args => [ '--tls-cert', $cert, '--tls-key', $key ], expected => qr/expires|upstream/);
my $url  = "https://127.0.0.1:$port";
my $size = 40_000_000;
spew("$tmp/blob", random_bytes(1_000_000) x 40);
my $digest = file_digest("$tmp/blob");
is_status($registry->push_blob('a/b', slurp("$tmp/blob")), 201, 'a blob');

# Both take 10 s.
spew("$tmp/piece", random_bytes(10_000_000));
my $place    = $registry->start_upload('a/b') =~ s{^https?://[^/]+}{}r;
my @workers  = $registry->all_nginx_workers;
my $download = curl_beside('--limit-rate', '4M', '-o', "$tmp/got", "$url/v2/a/b/blobs/$digest");
my $upload   = curl_beside('--limit-rate', '1M', '-o', "$tmp/answer", '-X', 'PATCH', '-T', "$tmp/piece", '-H', 'Content-Type: application/octet-stream', "$url$place");
ok(wait_for(10, sub { -s "$tmp/got" && grep { m{^uploads/body/} } $registry->files('uploads') }), 'a slow download and a slow upload');
make_certificate($tmp, 'site', 1002);
kill 'HUP', $registry->pid;
ok(wait_for(20, sub { serial_at($port) == 1002 }), '... and a new certificate meanwhile');
ok((grep { my $worker = $_; grep { $_ == $worker } @workers } $registry->nginx_workers), '... for which the workers before have not ended');
is($download->(), "0 200 $size", 'the download is whole');
like($upload->(), qr/^0 202 /, 'the upload is accepted');
ok(wait_for(20, sub { !grep { my $worker = $_; grep { $_ == $worker } @workers } $registry->nginx_workers }), 'the workers before end');

@workers = $registry->all_nginx_workers;
my $plain = Registry->start;
my @plain = $plain->all_nginx_workers;
kill 'HUP', $plain->pid;
ok(wait_for(10, sub { $plain->logged(qr/reading certificates, users and rules again/) }), 'without certificates');
is_status($plain->get('/healthz'), 200, '... the server goes on');
is_deeply([ sort $plain->nginx_workers ], [ sort @plain ], '... with the same nginx');

# What takes longer than 6 s is cut off at a stop, and nginx's alerts about that are no news.
$download = curl_beside('--limit-rate', '1M', '-o', "$tmp/cut", "$url/v2/a/b/blobs/$digest");
ok(wait_for(10, sub { -s "$tmp/cut" }), 'another download');
$registry->stop;
cmp_ok($registry->seconds_to_stop, '>=', 5,  'the stop gives it some seconds');
cmp_ok($registry->seconds_to_stop, '<=', 10, '... and no more');
like($download->(), qr/^(?!0 )\d+ 200 /, '... it is cut off');
is_deeply([ $registry->logged(qr/level=error/) ], [], '... without an error in the log');
finish();
