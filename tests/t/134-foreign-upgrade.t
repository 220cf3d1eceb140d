# Behind an existing nginx: a changed configuration counts after SIGHUP, another program takes over, and nginx reads what
# was printed anew, while 50 clients push and pull: none of their requests fails, no transfer is cut off, and the other
# site of that nginx sees nothing of it.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Clients;
use Registry::Crowd;
use Registry::Process;
use Registry::Recipe;
use Registry::Tools;
use Test::More;

BEGIN { need('curl') }
my $CLIENTS = 50;
my $tmp     = tempdir();
chmod 0755, $tmp;

my $root = "$tmp/debian";
my $port = free_port();
my $site = Registry::Client->new(port => make_debian($root));
is(run(["$root/bin/nginx"])->{exit}, 0, 'an nginx with a site') or BAIL_OUT(slurp("$root/error.log"));
my $conf = "$tmp/registry.conf";

sub configure (%options) {
    return spew($conf, join '', map { "$_ = $options{$_}\n" } sort keys %options);
}

my %options = (dir => "$root/lib/registry", fastcgi => "$root/run/registry", 'max-tags' => 100, 'max-blob-size' => '50M');
configure(%options);
my $registry = Registry->start(dir => undef, cwd => $tmp, listen => [], args => [ '--config', $conf, '--user', 'ann:secret' ]);
$registry->{dir} = $options{dir};

# What the recipe of docker-registry-server-nginx(7) does; it is run as it stands by 131-foreign-recipe.t.
sub print_conf ($program) {
    for my $part ([ '--http', 'conf.d' ], [ '--server', 'snippets' ]) {
        my $ran = Registry->try([ 'print-nginx-conf', $part->[0], '--config', $conf ], program => $program);
        is($ran->{exit}, 0, "print-nginx-conf $part->[0]") or diag($ran->{err});
        spew("$root/etc/nginx/$part->[1]/registry.conf", $ran->{out});
    }
    return;
}

sub workers_of_nginx () { return grep { command_of($_) =~ /worker process$/ } children_of(slurp("$root/run/nginx.pid") + 0) }

sub reload_nginx () { return works(run([ "$root/bin/nginx", '-s', 'reload' ]), 'nginx -s reload') }

print_conf(Registry->program);
spew("$root/etc/nginx/sites-enabled/registry", "server { listen 127.0.0.1:$port; include snippets/registry.conf; }\n");
reload_nginx();
my $client = Registry::Client->new(port => $port, user => 'ann:secret');
ok(wait_for(10, sub { $client->get('/v2/')->status == 200 }), 'the registry is a site of it') or BAIL_OUT(slurp("$root/error.log"));

# ---- under load ----

my $url    = "http://ann:secret\@127.0.0.1:$port";
my $size   = 4_000_000;
my $bytes  = cheap_bytes($size);
my $digest = digest($bytes);
is_status($client->push_blob('a/b', $bytes), 201, 'a blob');
spew("$tmp/piece", cheap_bytes(3_000_000));
my $place = $client->start_upload('a/b') =~ s{^https?://[^/]+}{}r;

sub taken () { return scalar $registry->logged(qr/this program has taken over/) }

my $clients  = begin_clients($client, $CLIENTS);
my $download = curl_beside('--limit-rate', '400K', '-o', "$tmp/got", "$url/v2/a/b/blobs/$digest");
my $upload   = curl_beside('--limit-rate', '300K', '-o', "$tmp/answer", '-X', 'PATCH', '-T', "$tmp/piece", '-H', 'Content-Type: application/octet-stream', "$url$place");
ok(wait_for(30, sub { -s "$tmp/got" && grep { m{^uploads/body/} } $registry->files('uploads') }), 'a slow download and a slow upload');
my @nginx = sort { $a <=> $b } workers_of_nginx();

subtest 'a changed configuration' => sub {
    configure(%options, 'max-tags' => 99, 'bulk-workers' => 3);
    kill 'HUP', $registry->pid;
    ok(wait_for(60, sub { taken() == 1 }), 'counts after SIGHUP');
    is(scalar($registry->children('worker bulk')), 3, '... the number of workers');
};

subtest 'another program' => sub {
    run([ 'cp', Registry->program, "$tmp/other" ]);
    chmod 0755, "$tmp/other";
    my $ran = Registry->try([ 'upgrade', '--config', $conf ], program => "$tmp/other", timeout => 60);
    is($ran->{exit}, 0, 'upgrade') or diag($ran->{err});
    is(readlink('/proc/' . $registry->pid . '/exe'), "$tmp/other", '... the other program serves');
    is_deeply([ grep { (readlink("/proc/$_/exe") // '') ne "$tmp/other" } $registry->children('worker') ], [], '... by all workers');
};
is_deeply([ sort { $a <=> $b } workers_of_nginx() ], \@nginx, 'nginx was left alone');
end_clients($clients, 'while both happened');
is($site->get('/')->content, 'the site that was there', 'the other site is there');

$clients = begin_clients($client, $CLIENTS, 1);
ok(wait_for(60, sub { $client->get('/v2/team/app1/tags/list')->status == 200 }), 'clients again');
subtest 'what is printed anew after an upgrade' => sub {
    configure(%options, 'max-blob-size' => '60M');
    print_conf("$tmp/other");
    like(slurp("$root/etc/nginx/snippets/registry.conf"), qr/client_max_body_size 62914560;/, '... with another option');
    kill 'HUP', $registry->pid;
    reload_nginx();
    ok(wait_for(60, sub { taken() == 3 }), 'the registry has it, too');
    ok(wait_for(60, sub { grep { my $new = $_; !grep { $_ == $new } @nginx } workers_of_nginx() }), 'nginx has new workers');
};
end_clients($clients, 'meanwhile');

is($download->(), "0 200 $size", 'the download is whole');
is(file_digest("$tmp/got"), $digest, '... byte for byte');
like($upload->(), qr/^0 202 /, 'the upload is accepted');
is_status($client->delete($place), 204, '... and dropped');
unlike(slurp("$root/error.log"), qr/\[(?:error|crit|alert|emerg)\]/, 'nginx has met no error');

is(run([ "$root/bin/nginx", '-s', 'stop' ])->{exit}, 0, 'nginx stops');
is_tidy($registry);
is_sound($registry);
finish();
