# The recipes for an existing nginx, that of the manual and that of README, line by line; and a configuration that
# doesn't fit is reported in the log, to the client and by /healthz.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Manual;
use Registry::Nginx;
use Registry::Process;
use Registry::Recipe;
use Registry::Tools;
use Test::More;

BEGIN { need('curl') }

my $top = $ENV{srcdir} // '.';
my $tmp = tempdir();

# ---- the recipes ----

# A registry that a recipe has put behind nginx; and its end.
sub is_served ($port, $user) {
    my $client = Registry::Client->new(port => $port, user => $user);
    my $bytes  = random_bytes(2_000_000);
    is_status($client->push_image('a/b', 'v1', [$bytes]), 201, 'a push');
    is_blob($client, 'a/b', $bytes, 'a pull');
    SKIP: {
        # A build below a home directory is closed to the workers of nginx.
        my $closed = Registry->program;
        while ($closed =~ s{[^/]*/?\z}{} && length $closed) {
            skip 'the workers of nginx cannot enter the directory of the build', 1 if is_root() && !((stat $closed)[2] & 0001);
        }
        is_status($client->with->get('/ui/'), 200, 'the web page');
    }
    return $client;
}

# WRONG PASSWORDS of the manual: its command, and what the jail looks for.
sub finds_wrong_passwords ($root, $client) {
    my $claims = $client->with(user => 'x, client: 192.0.2.1, server: y:z');
    is_status($client->with(user => $_)->get('/v2/'), 401, $_) for 'ann:wrong', 'nobody:x';
    is_status($claims->get('/v2/', headers => { Referer => 'http://x/, client: 192.0.2.1, server: y' }), 401, 'a name with an address in it');
    my ($logs)    = slurp("$top/contrib/fail2ban/jail-nginx.conf") =~ /^logpath = (.*)$/m;
    my ($command) = join("\n", manual_examples('nginx.7', 'WRONG PASSWORDS'), '') =~ /^(grep .*\n    .*\n)/m;
    ok($command =~ s/\Q$logs\E/$root\/*error.log/, 'jail and manual have the same logs');
    my $ran = run([ 'sh', '-c', $command ]);
    like($ran->{out}, qr/\A\s+3 127\.0\.0\.1\n\z/, 'the command of the manual finds them') or diag($ran->{err});
    # fail2ban takes the time off a line before, and knows <ADDR>.
    my ($regex) = slurp("$top/contrib/fail2ban/jail-nginx.conf") =~ /^failregex = (.*)$/m;
    my $pattern = $regex =~ s/<ADDR>/((?:\\d{1,3}\\.){3}\\d{1,3}|[0-9a-f]*:[0-9a-f:.]*)/r;
    my @found   = map { s{^\S+ \S+}{}r =~ /$pattern/ ? $1 : () } split /\n/, slurp("$root/error.log");
    is_deeply(\@found, [ ('127.0.0.1') x 3 ], '... and so does the jail for fail2ban') or diag(slurp("$root/error.log"));
    if (find_program('fail2ban-regex')) {
        my $ban = run([ 'fail2ban-regex', '--out', 'ip', "$root/error.log", $regex ]);
        is_deeply([ split ' ', $ban->{out} ], \@found, '... and fail2ban itself') or diag($ban->{err});
    }
    return;
}

subtest 'the manual' => sub {
    my @commands = manual_examples('nginx.7', 'RECIPE');
    cmp_ok(scalar @commands, '>', 15, 'there is a recipe') or return;
    my $root  = "$tmp/debian";
    my $site  = make_debian($root);
    my $port  = free_port();
    my $nginx = run(["$root/bin/nginx"]);
    is($nginx->{exit}, 0, 'nginx runs already') or return diag($nginx->{err});

    my ($changed, @lines) = adapt_recipe({ debian_values($root), listen => "127.0.0.1:$port" }, @commands);
    is($changed, 4, 'its values are at the top');
    my $ran = run_recipe($root, @lines);
    works($ran, 'its commands');
    like($ran->{out}, qr{^Server is listening on \Q$root\E/run/docker-registry-server/api\.sock$}m, 'the registry is ready');
    like($ran->{out}, qr/^\{\}\s*\z/m, 'the last one prints {}');

    my $client = is_served($port, 'ann:secret');
    is_error($client->with->get('/v2/'), 401, 'UNAUTHORIZED', 'without a password');
    finds_wrong_passwords($root, $client);
    is_status($client->with->get('/healthz'), 200, '/healthz, without one');
    is(Registry::Client->new(port => $site)->get('/')->content, 'the site that was there', 'the other site is there');
    is_status(Registry::Client->new(port => $site)->get('/v2/'), 404, '... and has no registry');
    is_stopped($root, "$root/lib/docker-registry-server/run/master.pid", "$root/run/docker-registry-server/api.sock");
};

subtest 'README' => sub {
    my $root  = "$tmp/short";
    my $port  = make_debian($root);
    my $nginx = run(["$root/bin/nginx"]);
    is($nginx->{exit}, 0, 'nginx runs already') or return diag($nginx->{err});

    my @lines   = readme_examples('Behind an existing nginx');
    my $changed = 0;
    $changed += s{(?<![\w/])/(var/lib|run|etc)/}{"$root/" . ($1 =~ s/var.//r) . '/'}ge for @lines;
    cmp_ok($changed, '>', 4, 'its directories');
    my $ran = run_recipe($root, @lines);
    works($ran, 'its commands');
    my $default = "$root/etc/nginx/sites-enabled/default";
    spew($default, slurp($default) =~ s/^(\s*)(?=location)/$1include snippets\/registry.conf;\n$1/mr);
    my @old = children_of(slurp("$root/run/nginx.pid") + 0);
    is(run([ "$root/bin/nginx", '-s', 'reload' ])->{exit}, 0, 'nginx is reloaded');
    ok(@old && wait_for(10, sub { !grep { command_of($_) =~ /worker process$/ } @old }), '... its workers of before take no more requests');
    ok(wait_for(10, sub { Registry::Client->new(port => $port)->get('/v2/')->status == 401 }), 'the site has a registry');
    my $client = is_served($port, 'ann:secret');
    is_error($client->with(user => undef)->get('/v2/'), 401, 'UNAUTHORIZED', 'without a password');
    is($client->get('/')->content, 'the site that was there', 'the site is there');
    is_stopped($root, "$root/lib/registry/run/master.pid", "$root/run/registry/api.sock");
};

# ---- what doesn't fit ----

sub site_for ($registry, %o) {
    my @options = ('--dir', $o{dir} // $registry->dir, '--fastcgi', $o{sockets});
    my $site    = Registry::Nginx->start(
        %o,
        files => {
            map { ("$_.conf" => Registry->try([ 'print-nginx-conf', "--$_", @options ])->{out}) } 'http', 'server'
        },
        http   => 'include http.conf;',
        server => "include server.conf;\nlocation = /health/of/it { rewrite ^ /_registry_main/healthz last; }",
    );
    ok($site, 'nginx starts') or diag(Registry::Nginx->last_words);
    return $site;
}

# Each upload: a clear line in the log, and as clear an answer.
sub is_told ($registry, $site, $pattern) {
    my $response = $site->client->push_blob('a/b', random_bytes(10_000), way => 'put');
    is_error($response, 500, 'UNKNOWN', 'an upload fails');
    like($response->message, $pattern, '... and says why');
    ok(wait_for(15, sub { grep { $_ =~ $pattern } $registry->logged(qr/level=error/) }), 'so does the log')
        or diag($registry->log);
    return;
}

sub is_ill ($site, $pattern) {
    my $health;
    wait_for(15, sub { $health = $site->client->get('/health/of/it'); $health->status == 503 });
    is_v1_error($health, 503, '/healthz says 503');
    like($health->content, $pattern, '... and why');
    return;
}

subtest 'another file system' => sub {
    my $other = File::Temp->newdir('registry-test-XXXXXX', DIR => '/dev/shm', CLEANUP => 1);
    my $dir   = "$tmp/exdev";
    plan skip_all => '/dev/shm is on the same one' if (stat $other)[0] == (stat $tmp)[0];
    my $registry = Registry->start(dir => $dir, fastcgi => "$tmp/s1", expected => qr/file systems/);
    my $site     = site_for($registry, sockets => "$tmp/s1") // return;
    is_status($site->client->get('/health/of/it'), 200, '/healthz is fine');
    is_status($site->client->post('/health/of/it', body => 'x'), 405, '... and for reading');
    chown +(stat "$dir/uploads")[ 4, 5 ], $other;
    rename "$dir/uploads/body", "$dir/uploads/body.away";
    symlink "$other", "$dir/uploads/body";
    is_told($registry, $site, qr{uploads/body and uploads are on different file systems});
    is_ill($site, qr/different file systems/);
    ok(wait_for(15, sub { $registry->logged(qr/can't be taken over from nginx/) }), 'so does the log by itself');
    unlink "$dir/uploads/body";
    rename "$dir/uploads/body.away", "$dir/uploads/body";
    is_status($site->client->push_blob('a/b', random_bytes(10_000)), 201, 'when it is one again, it works again');
    is_status($site->client->get('/health/of/it'), 200, '... and /healthz says so');
    ok(wait_for(15, sub { $registry->logged(qr/taken over from nginx again/) }), '... and the log');
    $site->stop;
};

subtest 'a configuration for another directory' => sub {
    mkdir $_ for "$tmp/elsewhere", "$tmp/elsewhere/uploads";
    chown scalar(getpwnam 'www-data'), -1, "$tmp/elsewhere/uploads" if is_root();
    my $registry = Registry->start(dir => "$tmp/here", fastcgi => "$tmp/s2", expected => qr/elsewhere/);
    my $site     = site_for($registry, dir => "$tmp/elsewhere", sockets => "$tmp/s2") // return;
    is_told($registry, $site, qr{nginx writes request bodies to another place, \Q$tmp\E/elsewhere/uploads/body/.*--dir});
    is_ill($site, qr/nginx writes request bodies to another place: .*--dir/);
    $site->stop;
};

subtest 'other users' => sub {
    plan skip_all => 'needs root' if !is_root();
    my $of_root  = Registry->start(dir => "$tmp/root", fastcgi => "$tmp/s3", expected => qr/runs as root/);
    my $site     = site_for($of_root, sockets => "$tmp/s3", user => 'root') // return;
    is_told($of_root, $site, qr/nginx runs as root.*but this server runs as www-data/);
    is_ill($site, qr/nginx runs as root/);
    $site->stop;

    my $of_nobody = Registry->start(
        dir => "$tmp/nobody", fastcgi => "$tmp/s4", args => [ '--run-as', 'nobody' ], expected => qr/runs as www-data/);
    is((stat "$tmp/s4/api.sock")[4], scalar getpwnam('nobody'), 'the sockets are of --run-as');
    $site = site_for($of_nobody, sockets => "$tmp/s4") // return;
    ok(wait_for(15, sub { $of_nobody->logged(qr/level=error.*nginx runs as www-data.*runs as nobody/) }), 'the log tells')
        or diag($of_nobody->log);
    my $response = $site->client->push_blob('a/b', random_bytes(10_000), way => 'put');
    is_error($response, 503, 'UNAVAILABLE', 'an upload fails');
    like($response->message, qr/out of reach/, '... with a hint');
    like($site->log, qr{api\.sock failed \(13: Permission denied\)}, '... which the log of nginx explains');
    $site->stop;
};

subtest 'where nginx can not get to' => sub {
    plan skip_all => 'needs root' if !is_root();
    mkdir "$tmp/closed", 0700;
    for my $case ([ qr{www-data can't create sockets in \Q$tmp\E/closed/s}, "$tmp/open", "$tmp/closed/s" ],
        [ qr{can't reach \Q$tmp\E/closed/data: .*--dir}, "$tmp/closed/data", "$tmp/s5" ]) {
        my ($pattern, $dir, $sockets) = @$case;
        my $ran = Registry->try([ '--dir', $dir, '--fastcgi', $sockets ]);
        is($ran->{exit}, 1, "refused: --dir $dir --fastcgi $sockets");
        like($ran->{err}, $pattern, '... and why');
        ok(!-e "$sockets/api.sock", '... and no socket is left');
    }
    mkdir "$tmp/full";
    spew("$tmp/full/file", '');
    my $ran = Registry->try([ '--dir', "$tmp/open", '--fastcgi', "$tmp/full" ]);
    is($ran->{exit}, 1, 'a directory of root\'s, with something in it');
    like($ran->{err}, qr{www-data can't create sockets in \Q$tmp\E/full}, '... is not taken');
};

finish();
